"""Which e-mails a user gets is the user's choice, except for those that are always sent."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.message_kinds import MessageKind
from accounts.models import EmailPreference, User
from accounts.preferences import is_wanted, wanted_kinds
from accounts.services import set_email_preferences
from audit.models import Event
from tests.accounts.mailbox import get, post
from tests.accounts.way_back import Browser, age, browser
from tests.conftest import ORIGIN, LogIn, MakeUser
from tokens.closing import close_account

__all__ = ["browser"]

pytestmark = pytest.mark.django_db
PAGE = "/account/emails/"
DEFAULT = [MessageKind.LIVE_KEYS, MessageKind.EXPIRY, MessageKind.NEW_DEVICE]


def ticked(page: Any) -> list[str]:
    """Return the names of the check boxes that are ticked on a page."""
    return re.findall(r'<input type="checkbox" name="(\w+)"[^>]* checked', page.content.decode())


def changes() -> list[Any]:
    """Return the details of each recorded change, oldest first."""
    return [event.details for event in Event.objects.filter(verb="email_preferences_changed").order_by("id")]


def test_a_user_who_never_chose_gets_what_the_table_says(
    developer: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for kind in MessageKind:
        for user in (developer, developer.pk):
            with django_assert_num_queries(1):
                assert is_wanted(user, kind) is kind.default
    assert [kind for kind, wanted in wanted_kinds(developer).items() if wanted] == DEFAULT


def test_the_page_shows_each_kind_with_what_it_is_and_stores_the_choice(owner: Client, developer: User) -> None:
    page = get(owner, PAGE)
    assert ticked(page) == DEFAULT
    assert all(kind.label in unescape(page.content.decode()) for kind in MessageKind)
    assert all(kind.help_text in unescape(page.content.decode()) for kind in MessageKind)
    assert "E-mails we always send" in page.content.decode()
    assert post(owner, PAGE, test_keys="on", expiry="on", new_device="on")["Location"] == PAGE
    assert ticked(get(owner, PAGE)) == ["test_keys", "expiry", "new_device"]
    assert [kind for kind in MessageKind if is_wanted(developer, kind)] == ["test_keys", "expiry", "new_device"]
    assert changes() == [{"turned_on": ["test_keys"], "turned_off": ["live_keys"]}]


def test_only_what_was_chosen_is_kept_and_a_form_that_changes_nothing_is_no_event(developer: User) -> None:
    assert not set_email_preferences(user=developer, wanted=DEFAULT, origin=ORIGIN)
    assert (EmailPreference.objects.count(), changes()) == (0, [])
    assert set_email_preferences(user=developer, wanted=DEFAULT[1:], origin=ORIGIN)
    assert set_email_preferences(user=developer, wanted=DEFAULT, origin=ORIGIN)
    assert not set_email_preferences(user=developer, wanted=DEFAULT, origin=ORIGIN)
    assert list(EmailPreference.objects.values_list("kind", "wanted")) == [("live_keys", True)]
    assert changes() == [{"turned_on": [], "turned_off": ["live_keys"]}, {"turned_on": ["live_keys"], "turned_off": []}]


def test_the_choice_of_one_user_is_not_that_of_another(developer: User, make_user: MakeUser) -> None:
    other = make_user()
    set_email_preferences(user=developer, wanted=[], origin=ORIGIN)
    assert not any(is_wanted(developer, kind) for kind in MessageKind)
    assert all(is_wanted(other, kind) is kind.default for kind in MessageKind)


@pytest.mark.security("S-05")
def test_whoever_has_the_session_alone_switches_no_message_off(log_in: LogIn, developer: User) -> None:
    stale = log_in(developer, ago=301)
    answer = post(stale, PAGE, live_keys="on")
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert not EmailPreference.objects.exists()
    assert post(stale, PAGE, test_keys="on", **dict.fromkeys(DEFAULT, "on"))["Location"] == PAGE
    assert is_wanted(developer, MessageKind.TEST_KEYS)  # one message more may be asked for


@pytest.mark.finding("H23")
@pytest.mark.parametrize("chosen", [[], ["test_keys"]])
def test_what_was_ticked_is_there_again_after_the_log_in(browser: Browser, chosen: list[str]) -> None:
    age(browser)
    page = browser.follow(browser.post(PAGE, {"is_sent": "yes", **dict.fromkeys(chosen, "on")}))
    assert ticked(page) == chosen
    assert "Press “Save” again" in unescape(page.content.decode())
    browser.post(PAGE, dict.fromkeys(chosen, "on"))
    assert [kind for kind, wanted in wanted_kinds(browser.user).items() if wanted] == chosen


def test_the_history_tells_of_the_change(owner: Client) -> None:
    post(owner, PAGE)
    assert "E-mail preferences changed" in get(owner, "/account/history/").content.decode()


def test_a_closed_account_has_no_preferences_and_gets_none(developer: User) -> None:
    set_email_preferences(user=developer, wanted=[], origin=ORIGIN)
    close_account(user=developer, origin=ORIGIN)
    assert not EmailPreference.objects.exists()
    assert not set_email_preferences(user=developer, wanted=[], origin=ORIGIN)
    assert not EmailPreference.objects.exists()


def test_a_kind_that_this_release_does_not_know_harms_nothing(owner: Client, developer: User) -> None:
    EmailPreference.objects.create(user=developer, kind="by_pigeon", wanted=True)
    assert ticked(get(owner, PAGE)) == DEFAULT
