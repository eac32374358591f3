"""A change of address: confirmed in the account's own session, announced to the old address, undone for a week."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.models import User
from apikeys.models import APIKey
from audit.models import Event
from tests.accounts.log_in_form import browser_of, is_logged_in
from tests.accounts.mailbox import get, link_to, messages_to, post
from tests.conftest import PASSWORD, LogIn, MakeKey, MakeUser

pytestmark = pytest.mark.django_db
OLD, NEW, NEW_PASSWORD = "dev@example.com", "new@example.com", "a quite different phrase"


def ask_for_change(owner: Client, email: str = NEW) -> str:
    assert post(owner, "/accounts/email/", email=email).status_code == 302
    return link_to(email, "/accounts/email/confirm/")


@pytest.mark.finding("H3")
def test_an_address_that_was_only_typed_is_no_ones(owner: Client, developer: User) -> None:
    ask_for_change(owner)
    assert "New Person" not in str(messages_to(NEW))
    assert not is_logged_in(browser_of(NEW))
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
    other = browser_of(somebody.email)
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
    assert is_logged_in(browser_of(NEW))
    assert not is_logged_in(browser_of(OLD))
    assert post(owner, path).status_code == 410


@pytest.mark.finding("H3")
def test_a_pending_change_ends_after_a_day_and_can_be_cancelled(
    owner: Client, developer: User, log_in: LogIn, time_machine: Any
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
def test_a_change_asks_for_a_fresh_log_in(log_in: LogIn, developer: User) -> None:
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
    assert is_logged_in(browser_of(NEW))


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
    thief = browser_of(NEW)
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
    assert is_logged_in(browser_of(OLD, NEW_PASSWORD))
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
