"""A change of address is undone for good by the account's first owner, in whatever order links are used."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts import links
from accounts.backends import has_valid_seals
from accounts.models import MailedLink, User
from audit.models import Event
from tests.accounts.mailbox import get, link_to, messages_to, post
from tests.conftest import LogIn, MakeUser

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H3")]
MINE, FIRST, SECOND, THIRD = "dev@example.com", "evil1@example.com", "evil2@example.com", "evil3@example.com"
NEW_PASSWORD = "a quite different phrase"


@pytest.fixture
def thief(log_in: LogIn, developer: User) -> Client:
    """A thief, in the developer's session."""
    return log_in(developer)


def change(session: Client, *addresses: str) -> None:
    """Change the address in a session, again and again."""
    for email in addresses:
        post(session, "/accounts/email/", email=email)
        assert post(session, link_to(email, "/accounts/email/confirm/")).status_code == 302


def undo_of(email: str) -> str:
    """Return the newest link that takes the account back to this address."""
    return link_to(email, "/accounts/email/undo/")


def follow(path: str) -> bool:
    """Follow a link that takes the account back; return whether it was good."""
    status = post(Client(), path).status_code
    assert status in (302, 410)
    return bool(status == 302)


def address_of(user: User) -> str:
    return User.objects.get(pk=user.pk).email


@pytest.mark.sweep
@pytest.mark.parametrize("order", list(permutations((MINE, FIRST, SECOND))), ids="-".join)
def test_after_undos_in_any_order_the_first_address_has_the_account(
    thief: Client, developer: User, order: Sequence[str]
) -> None:
    chain = [MINE, FIRST, SECOND]
    change(thief, FIRST, SECOND, THIRD)
    undo = {email: undo_of(email) for email in chain}
    oldest = len(chain)
    for email in order:
        assert follow(undo[email]) is (chain.index(email) < oldest)
        oldest = min(oldest, chain.index(email))
        assert address_of(developer) == chain[oldest]
    assert address_of(developer) == MINE
    assert not MailedLink.objects.filter(user=developer, purpose=links.UNDO).exists()


def test_a_thief_has_no_link_left_once_the_change_is_undone(thief: Client, developer: User) -> None:
    change(thief, FIRST, SECOND)
    post(thief, "/accounts/email/", email=THIRD)
    pending = link_to(THIRD, "/accounts/email/confirm/")
    for path in ("/accounts/password/reset/", "/accounts/login/unlock/"):
        post(Client(), path, email=SECOND)
    reset, unlock = link_to(SECOND, "/password/reset/key/"), link_to(SECOND, "/login/unlock/")
    victim = Client()
    answer = post(victim, undo_of(MINE))
    form = get(victim, get(victim, answer["Location"])["Location"]).request["PATH_INFO"]
    post(victim, form, password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    post(victim, "/accounts/login/", login=MINE, password=NEW_PASSWORD)
    for path in (undo_of(FIRST), unlock):
        assert post(Client(), path).status_code == 410
    assert post(victim, pending).status_code == 410
    assert "This link no longer works" in get(Client(), reset).content.decode()
    assert get(victim, "/keys/").status_code == 200
    assert address_of(developer) == MINE


@pytest.mark.parametrize("first", [MINE, FIRST])
def test_a_chain_that_comes_back_to_an_address_makes_it_no_younger(thief: Client, developer: User, first: str) -> None:
    change(thief, FIRST, MINE, SECOND)
    undo = {email: undo_of(email) for email in (MINE, FIRST)}
    assert follow(undo[first])
    assert follow(undo[MINE]) is (first != MINE)
    assert not follow(undo[FIRST])
    assert address_of(developer) == MINE


def test_an_undo_to_the_current_address_ends_the_other_sessions(thief: Client, developer: User) -> None:
    change(thief, FIRST, MINE)
    assert follow(undo_of(MINE))
    assert not follow(undo_of(FIRST))
    assert get(thief, "/keys/").status_code == 302
    assert address_of(developer) == MINE


def test_which_link_is_older_does_not_depend_on_the_clock(thief: Client, developer: User, time_machine: Any) -> None:
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    change(thief, FIRST, SECOND)
    time_machine.move_to(now - timedelta(seconds=2), tick=False)  # somebody sets it
    change(thief, THIRD)
    undo = {email: undo_of(email) for email in (MINE, FIRST, SECOND)}
    assert follow(undo[SECOND])
    assert follow(undo[FIRST])
    assert not follow(undo[SECOND])
    assert follow(undo[MINE])
    assert not follow(undo[FIRST])
    assert address_of(developer) == MINE


def test_an_address_that_somebody_else_has_proved_meanwhile_is_not_taken_and_the_link_stays(
    thief: Client, developer: User, make_user: MakeUser
) -> None:
    change(thief, FIRST, SECOND)
    other = make_user(MINE)
    undo = undo_of(MINE)
    taken = post(Client(), undo)
    assert taken.status_code == 409
    assert "now belongs to another account" in taken.content.decode()
    assert (address_of(developer), address_of(other)) == (SECOND, MINE)
    other.delete()
    assert follow(undo)
    assert not follow(undo_of(FIRST))


def test_an_account_that_only_typed_the_address_meanwhile_gives_it_up(
    thief: Client, developer: User, make_user: MakeUser
) -> None:
    change(thief, FIRST)
    squatter = make_user(MINE, confirmed=False)
    assert follow(undo_of(MINE))
    assert address_of(developer) == MINE
    assert address_of(squatter).endswith("@released.invalid")


def test_both_addresses_are_told_and_it_is_on_the_record(thief: Client, developer: User) -> None:
    change(thief, FIRST, SECOND)
    TOTP.activate(developer, generate_totp_secret())
    undo = undo_of(MINE)
    mail.outbox.clear()
    assert follow(undo)
    assert sorted(message.to[0] for message in mail.outbox) == [MINE, SECOND]
    assert "no longer log in with this address" in messages_to(SECOND)[0]
    assert "https://" not in messages_to(SECOND)[0]
    assert "second factors added since" in messages_to(MINE)[0]
    assert MINE not in messages_to(SECOND)[0]
    (event,) = Event.objects.filter(verb="email_change_undone", subject_id=developer.pk)
    assert event.details == {"links_ended": 1, "second_factors_removed": 1}


# --- second factors ---


def add_factor(user: User, *, before: timedelta, codes: bool = False) -> Authenticator:
    """Add an authenticator app, or recovery codes, as of so long ago."""
    made = RecoveryCodes.activate(user) if codes else TOTP.activate(user, generate_totp_secret())
    factor: Authenticator = made.instance
    factor.created_at = timezone.now() - before
    factor.save()
    return factor


@pytest.mark.parametrize(
    ("before", "stays"),
    [
        (timedelta(0), False),
        (timedelta(days=1), False),
        (timedelta(days=6, hours=23), False),
        (timedelta(days=7, hours=1), True),
        (timedelta(days=400), True),
    ],
)
def test_a_second_factor_from_the_week_before_the_change_is_removed_and_an_older_one_stays(
    thief: Client, developer: User, before: timedelta, stays: bool
) -> None:
    factor = add_factor(developer, before=before)
    change(thief, FIRST)
    page = get(Client(), undo_of(MINE)).content.decode()
    assert "seven days before the change or since" in page
    assert "seven days before the change or since" in messages_to(MINE)[-1]
    assert follow(undo_of(MINE))
    assert Authenticator.objects.filter(pk=factor.pk).exists() is stays
    assert has_valid_seals(User.objects.get(pk=developer.pk))


@pytest.mark.parametrize("older", [False, True], ids=["alone", "beside-an-older-app"])
def test_recovery_codes_go_with_the_last_second_factor(thief: Client, developer: User, older: bool) -> None:
    days = timedelta(days=30)
    add_factor(developer, before=days, codes=True)
    add_factor(developer, before=days if older else timedelta(days=1))
    change(thief, FIRST)
    assert follow(undo_of(MINE))
    kinds = sorted(Authenticator.objects.filter(user=developer).values_list("type", flat=True))
    assert kinds == (["recovery_codes", "totp"] if older else [])
    assert has_valid_seals(User.objects.get(pk=developer.pk))


def test_a_victim_logs_in_although_the_thief_had_added_a_second_factor_before_the_change(
    thief: Client, developer: User
) -> None:
    add_factor(developer, before=timedelta(hours=1))
    add_factor(developer, before=timedelta(hours=1), codes=True)
    change(thief, FIRST)
    victim = Client()
    answer = post(victim, undo_of(MINE))
    form = get(victim, get(victim, answer["Location"])["Location"]).request["PATH_INFO"]
    post(victim, form, password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    post(victim, "/accounts/login/", login=MINE, password=NEW_PASSWORD)
    assert get(victim, "/keys/").status_code == 200


def test_the_mailbox_of_an_earlier_address_does_not_get_past_an_older_second_factor(
    thief: Client, developer: User
) -> None:
    add_factor(developer, before=timedelta(days=30))
    change(thief, FIRST)
    finder = Client()
    answer = post(finder, undo_of(MINE))
    form = get(finder, get(finder, answer["Location"])["Location"]).request["PATH_INFO"]
    post(finder, form, password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    entered = post(finder, "/accounts/login/", login=MINE, password=NEW_PASSWORD)
    assert entered["Location"].startswith("/accounts/2fa/authenticate/")
    assert get(finder, "/keys/").status_code == 302


@pytest.mark.finding("H16")
def test_since_when_there_is_a_second_factor_is_sealed(developer: User) -> None:
    factor = add_factor(developer, before=timedelta(days=30))
    assert has_valid_seals(User.objects.get(pk=developer.pk))
    Authenticator.objects.filter(pk=factor.pk).update(created_at=timezone.now())
    assert not has_valid_seals(User.objects.get(pk=developer.pk))
