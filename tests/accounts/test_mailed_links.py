"""Links in messages: only the newest is good, for one purpose and for a while; what is stored of it opens nothing."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import MailedLink, User
from accounts.services import unconfirm_user
from tests.accounts.log_in_form import browser_of, is_logged_in
from tests.accounts.mailbox import get, link_to, messages_to, post
from tests.conftest import ORIGIN, PASSWORD, MakeUser
from tests.typos import with_another_end

pytestmark = pytest.mark.django_db
OLD, NEW, NEW_PASSWORD = "dev@example.com", "new@example.com", "a quite different phrase"


@pytest.mark.finding("H32")
def test_only_the_newest_reset_link_is_good(developer: User) -> None:
    post(Client(), "/accounts/password/reset/", email=OLD)
    older = link_to(OLD, "/password/reset/key/")
    post(Client(), "/accounts/password/reset/", email=OLD)
    newer = link_to(OLD, "/password/reset/key/")
    assert "This link no longer works" in get(Client(), older).content.decode()
    assert get(Client(), newer).status_code == 302


@pytest.mark.finding("H32")
@pytest.mark.parametrize("seconds", [3601, 86_400 * 400])
def test_a_reset_link_is_good_for_an_hour(developer: User, time_machine: Any, seconds: int) -> None:
    post(Client(), "/accounts/password/reset/", email=OLD)
    path = link_to(OLD, "/password/reset/key/")
    time_machine.move_to(timezone.now() + timedelta(seconds=seconds))
    assert "This link no longer works" in get(Client(), path).content.decode()


@pytest.mark.finding("H32")
@pytest.mark.parametrize("seconds", [86_401, 86_400 * 999])
def test_a_confirmation_link_is_good_for_a_day(time_machine: Any, seconds: int) -> None:
    post(Client(), "/accounts/signup/", email=NEW, password1=PASSWORD)
    path = link_to(NEW, "/confirm-email/")
    time_machine.move_to(timezone.now() + timedelta(seconds=seconds))
    assert post(Client(), path).status_code == 410
    assert not User.objects.get().is_confirmed


@pytest.mark.finding("H32")
def test_only_the_newest_confirmation_link_is_good() -> None:
    client = Client()
    post(client, "/accounts/signup/", email=NEW, password1=PASSWORD)
    older = link_to(NEW, "/confirm-email/")
    post(client, "/accounts/login/", login=NEW, password=PASSWORD)
    newer = link_to(NEW, "/confirm-email/")
    assert post(client, older).status_code == 410
    assert post(client, newer).status_code == 302
    assert User.objects.get().is_confirmed


@pytest.mark.finding("H30")
def test_a_used_link_has_a_page_however_it_is_sent() -> None:
    client = Client()
    post(client, "/accounts/signup/", email=NEW, password1=PASSWORD)
    path = link_to(NEW, "/confirm-email/")
    post(client, path)
    for answer in (get(client, path), post(client, path), post(Client(), with_another_end(path[:-1]) + "/")):
        assert answer.status_code == 410
        assert "This link no longer works" in answer.content.decode()


@pytest.mark.finding("H30")
def test_a_reset_through_the_accounts_own_mailbox_confirms_it(make_user: MakeUser) -> None:
    make_user(NEW, confirmed=False)
    client = Client()
    post(client, "/accounts/password/reset/", email=NEW)
    form = get(client, link_to(NEW, "/password/reset/key/"))["Location"]
    post(client, form, password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    assert User.objects.get(email=NEW).is_confirmed
    assert is_logged_in(browser_of(NEW, NEW_PASSWORD))


@pytest.mark.finding("H30")
def test_a_page_says_we_sent_only_where_we_did(make_user: MakeUser) -> None:
    make_user(NEW, confirmed=False)
    for _ in range(5):
        assert post(Client(), "/accounts/login/", login=NEW, password=PASSWORD).status_code == 302
    assert len(messages_to(NEW)) == 5
    stopped = post(Client(), "/accounts/login/", login=NEW, password=PASSWORD)
    assert stopped.status_code == 429
    assert "several messages" in stopped.content.decode()
    assert int(stopped["Retry-After"]) > 60
    assert len(messages_to(NEW)) == 5


@pytest.mark.finding("H32")
def test_a_link_is_of_no_use_for_anything_else(owner: Client, developer: User) -> None:
    post(owner, "/accounts/email/", email=NEW)
    text = link_to(NEW, "/accounts/email/confirm/").rstrip("/").rpartition("/")[2]
    for path in ("/accounts/confirm-email/{}/", "/accounts/email/undo/{}/", "/accounts/login/unlock/{}/"):
        assert post(owner, path.format(text)).status_code == 410
    reset = get(Client(), f"/accounts/password/reset/key/{developer.pk}-{text}/")
    assert "This link no longer works" in reset.content.decode()
    assert User.objects.get(pk=developer.pk).email == OLD


@pytest.mark.finding("H32")
def test_a_new_password_ends_the_links_that_would_set_one(owner: Client, developer: User) -> None:
    post(Client(), "/accounts/password/reset/", email=OLD)
    path = link_to(OLD, "/password/reset/key/")
    fields = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert post(owner, "/accounts/password/change/", **fields).status_code == 302
    assert "This link no longer works" in get(Client(), path).content.decode()


def test_what_is_stored_of_a_link_opens_nothing(developer: User) -> None:
    post(Client(), "/accounts/password/reset/", email=OLD)
    text = link_to(OLD, "/password/reset/key/").rstrip("/").rpartition("-")[2]
    assert text not in str(list(MailedLink.objects.values()))


def test_an_account_that_an_operator_unconfirmed_is_confirmed_by_a_new_link(owner: Client, developer: User) -> None:
    unconfirm_user(user=developer, origin=ORIGIN)
    post(owner, "/accounts/email/resend/")
    assert post(Client(), link_to(OLD, "/confirm-email/")).status_code == 302
    assert User.objects.get(pk=developer.pk).is_confirmed
