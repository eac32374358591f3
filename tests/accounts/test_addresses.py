"""An address counts as an account's once it is proved: changed, taken back, taken over, reset through, closed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.models import MailedLink, User
from accounts.services import unconfirm_user
from apikeys.models import APIKey, KeySecret
from audit.models import Event
from credentials.usage.models import SourceAddress
from tests.accounts.mailbox import get, link_to, messages_to, post
from tests.conftest import ORIGIN, PASSWORD, MakeKey, MakeUser
from tests.typos import with_another_end
from tokens import services as tokens
from tokens.closing import close_account

pytestmark = pytest.mark.django_db
OLD, NEW, NEW_PASSWORD = "dev@example.com", "new@example.com", "a quite different phrase"
Enter = Callable[..., Client]


def log_in_by_form(email: str, password: str = PASSWORD) -> Client:
    client = Client()
    post(client, "/accounts/login/", login=email, password=password)
    return client


def is_logged_in(client: Client) -> bool:
    return bool(get(client, "/keys/").status_code == 200)


@pytest.fixture
def owner(log_in: Enter, developer: User) -> Client:
    return log_in(developer)


def ask_for_change(owner: Client, email: str = NEW) -> str:
    assert post(owner, "/accounts/email/", email=email).status_code == 302
    return link_to(email, "/accounts/email/confirm/")


@pytest.mark.finding("H3")
def test_an_address_that_was_only_typed_is_no_ones(owner: Client, developer: User) -> None:
    ask_for_change(owner)
    assert "New Person" not in str(messages_to(NEW))
    assert not is_logged_in(log_in_by_form(NEW))
    mail.outbox.clear()
    post(Client(), "/accounts/password/reset/", email=NEW)
    assert "no account uses it" in messages_to(NEW)[-1]
    post(Client(), "/accounts/signup/", email=NEW, password1=PASSWORD)
    assert User.objects.filter(email=NEW).exists()  # typing it has not reserved it


@pytest.mark.finding("H3")
def test_a_change_is_confirmed_in_the_accounts_own_session(owner: Client, developer: User, make_user: MakeUser) -> None:
    path = ask_for_change(owner)
    stranger, somebody = Client(), make_user("somebody@example.com")
    assert post(stranger, path).status_code == 302  # to the log-in
    other = log_in_by_form(somebody.email)
    assert post(other, path).status_code == 410
    assert User.objects.get(pk=developer.pk).email == OLD
    assert get(owner, path).status_code == 200
    assert User.objects.get(pk=developer.pk).email == OLD  # opening a link changes nothing
    assert post(owner, path).status_code == 302
    user = User.objects.get(pk=developer.pk)
    assert (user.email, user.is_confirmed, user.seal_is_valid()) == (NEW, True, True)
    assert list(EmailAddress.objects.filter(user=user).values_list("email", "verified", "primary")) == [
        (NEW, True, True)
    ]
    assert is_logged_in(log_in_by_form(NEW))
    assert not is_logged_in(log_in_by_form(OLD))
    assert post(owner, path).status_code == 410


@pytest.mark.finding("H3")
def test_a_pending_change_ends_after_a_day_and_can_be_cancelled(
    owner: Client, developer: User, log_in: Enter, time_machine: Any
) -> None:
    path = ask_for_change(owner)
    assert NEW in get(owner, "/accounts/email/").content.decode()
    assert post(owner, "/accounts/email/cancel/").status_code == 302
    assert post(owner, path).status_code == 410
    path = ask_for_change(owner)
    time_machine.move_to(timezone.now() + timedelta(days=1, seconds=1))
    later = log_in(developer)
    assert post(later, path).status_code == 410
    assert NEW not in get(later, "/accounts/email/").content.decode()


@pytest.mark.finding("H3")
def test_a_newer_change_takes_the_place_of_an_older_one(owner: Client, developer: User) -> None:
    first = ask_for_change(owner, "first@example.com")
    second = ask_for_change(owner, "second@example.com")
    assert post(owner, first).status_code == 410
    assert post(owner, second).status_code == 302
    assert User.objects.get(pk=developer.pk).email == "second@example.com"


@pytest.mark.finding("H3")
def test_a_change_asks_for_a_fresh_log_in(log_in: Enter, developer: User) -> None:
    stale = log_in(developer, ago=301)
    answer = post(stale, "/accounts/email/", email=NEW)
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert not messages_to(NEW)


@pytest.mark.finding("H3")
def test_who_proves_an_address_wins_over_who_typed_it(owner: Client, developer: User, make_user: MakeUser) -> None:
    squatter = make_user(NEW, confirmed=False)
    assert post(owner, ask_for_change(owner)).status_code == 302
    assert User.objects.get(pk=developer.pk).email == NEW
    assert User.objects.get(pk=squatter.pk).email.endswith("@released.invalid")
    assert Event.objects.filter(verb="email_released", subject_id=squatter.pk).exists()
    assert is_logged_in(log_in_by_form(NEW))


@pytest.mark.finding("H3")
def test_a_proved_address_is_taken_from_nobody(owner: Client, developer: User, make_user: MakeUser) -> None:
    make_user(NEW)
    assert post(owner, "/accounts/email/", email=NEW).status_code == 302
    assert "/accounts/email/confirm/" not in messages_to(NEW)[-1]
    make_user("late@example.com", confirmed=False)
    path = ask_for_change(owner, "late@example.com")
    User.objects.get(email="late@example.com").delete()
    make_user("late@example.com")
    post(owner, path)
    assert User.objects.get(pk=developer.pk).email == OLD


@pytest.mark.finding("H3")
def test_the_old_address_is_told_and_can_undo_the_change_for_a_week(
    owner: Client, developer: User, make_key: MakeKey, time_machine: Any
) -> None:
    key, _ = make_key()
    post(owner, ask_for_change(owner))
    undo = link_to(OLD, "/accounts/email/undo/")
    thief = log_in_by_form(NEW)
    post(thief, ask_for_change(thief, "third@example.com"))  # does not take the way back away
    TOTP.activate(User.objects.get(pk=developer.pk), generate_totp_secret())
    time_machine.move_to(timezone.now() + timedelta(days=6, hours=23))
    assert get(Client(), undo).status_code == 200
    back = Client()
    answer = post(back, undo)
    user = User.objects.get(pk=developer.pk)
    assert (user.email, user.is_confirmed, user.has_usable_password()) == (OLD, True, False)
    assert not Authenticator.objects.filter(user=user).exists()
    assert not is_logged_in(thief)
    form = get(back, get(back, answer["Location"])["Location"])
    assert "Set a new password" in form.content.decode()
    post(back, form.request["PATH_INFO"], password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    assert is_logged_in(log_in_by_form(OLD, NEW_PASSWORD))
    assert APIKey.objects.get(pk=key.pk).state == "active"
    assert post(Client(), undo).status_code == 410


@pytest.mark.finding("H3")
def test_a_change_can_not_be_undone_after_a_week(owner: Client, developer: User, time_machine: Any) -> None:
    post(owner, ask_for_change(owner))
    undo = link_to(OLD, "/accounts/email/undo/")
    time_machine.move_to(timezone.now() + timedelta(days=7, seconds=1))
    assert post(Client(), undo).status_code == 410
    assert User.objects.get(pk=developer.pk).email == NEW


@pytest.mark.finding("H3")
def test_an_account_with_a_second_factor_can_change_its_address(owner: Client, developer: User) -> None:
    TOTP.activate(developer, generate_totp_secret())
    assert post(owner, ask_for_change(owner)).status_code == 302
    assert User.objects.get(pk=developer.pk).email == NEW


@pytest.mark.finding("H31")
def test_a_requested_a_cancelled_and_an_undone_change_are_on_the_record(owner: Client, developer: User) -> None:
    ask_for_change(owner)
    post(owner, "/accounts/email/cancel/")
    post(owner, ask_for_change(owner))
    post(Client(), link_to(OLD, "/accounts/email/undo/"))
    verbs = set(Event.objects.filter(subject_id=developer.pk).values_list("verb", flat=True))
    changes = {"email_change_requested", "email_change_cancelled", "email_changed", "email_change_undone"}
    assert changes <= verbs


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
    assert is_logged_in(log_in_by_form(NEW, NEW_PASSWORD))


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
    change = ask_for_change(owner)
    text = change.rstrip("/").rpartition("/")[2]
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


def test_an_operator_who_took_the_confirmation_back_is_not_got_round_by_a_link(owner: Client, developer: User) -> None:
    unconfirm_user(user=developer, origin=ORIGIN)
    post(owner, "/accounts/email/resend/")
    assert post(Client(), link_to(OLD, "/confirm-email/")).status_code == 302
    assert User.objects.get(pk=developer.pk).is_confirmed


@pytest.mark.finding("H32")
def test_an_account_is_closed_by_its_owner(owner: Client, developer: User, make_key: MakeKey) -> None:
    key, _ = make_key(name="payroll of Ada Lovelace")
    tokens.issue_to_user(user=developer, scopes=None, agent="Ada's laptop", origin=ORIGIN)
    page = get(owner, "/account/close/").content.decode()
    assert "1 key" in page
    assert post(owner, "/account/close/", typed="other@example.com").status_code == 400
    assert User.objects.get().is_active
    assert post(owner, "/account/close/", typed=" DEV@example.com").status_code == 302
    user = User.objects.get()
    assert user.email.endswith("@closed.invalid")
    assert (user.is_active, user.seal_is_valid(), user.has_usable_password()) == (False, True, False)
    key.refresh_from_db()
    assert key.revoked_at
    assert not KeySecret.objects.exclude(ciphertext=None).exists()
    assert not is_logged_in(owner)
    assert not is_logged_in(log_in_by_form(OLD))
    left = str([*User.objects.values(), *APIKey.objects.values(), *EmailAddress.objects.values()])
    left += str(list(user.token_families.values()))
    assert "Ada" not in left
    assert OLD not in left
    assert "payroll of Ada Lovelace" in messages_to(OLD)[-1]  # that this key was revoked
    assert Event.objects.filter(verb="account_closed", subject_id=user.pk).count() == 1
    post(Client(), "/accounts/signup/", email=OLD, password1=PASSWORD)
    assert User.objects.filter(email=OLD).exists()


@pytest.mark.finding("H32")
def test_closing_asks_for_a_fresh_log_in_and_leaves_an_operator(
    log_in: Enter, developer: User, operator: User, make_user: MakeUser
) -> None:
    stale = log_in(developer, ago=301)
    assert post(stale, "/account/close/", typed=OLD).status_code == 302
    assert User.objects.get(pk=developer.pk).is_active
    alone = log_in(operator)
    assert post(alone, "/account/close/", typed=operator.email).status_code == 400
    assert User.objects.get(pk=operator.pk).is_superuser
    make_user("second@example.com", operator=True)
    assert post(alone, "/account/close/", typed=operator.email).status_code == 302


def test_what_was_seen_of_a_closed_account_goes(developer: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    now = timezone.now()
    SourceAddress.objects.create(credential=key.pk, secret="", address="203.0.113.7", first_at=now, last_at=now)
    assert close_account(user=developer, origin=ORIGIN)
    assert not close_account(user=developer, origin=ORIGIN)
    assert not SourceAddress.objects.exists()
