"""What the pages of keys show: rows of the list, the page of a key, its timeline."""

from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import User
from accounts.view_models import ByWhom
from apikeys.models import APIKey
from apikeys.pages.forms import NewKeyForm
from apikeys.pages.key_page import key_page
from apikeys.pages.timeline import TimelineEntry, timeline_entry
from apikeys.pages.view_models import Option, key_rows, options
from audit.event_types import EventType
from audit.models import Event
from tests.conftest import MakeKey

pytestmark = pytest.mark.django_db


def entry(verb: EventType, owner: User, details: Any) -> TimelineEntry:
    """Return the timeline's entry of an event that the owner caused."""
    event = Event(verb=verb, actor=f"user:{owner.pk}", subject_type="key", subject_id="key_1", details=details)
    return timeline_entry(event, owner)


def test_the_first_scopes_are_named_and_the_others_counted(developer: User) -> None:
    keys = [
        APIKey(scopes=" ".join(names)) for names in ([], ["a:a"], ["a:a", "b:b", "c:c"], ["a:a", "b:b", "c:c", "d:d"])
    ]
    shown = [(row.scopes, row.more_scopes) for row in key_rows(keys, developer)]
    assert shown == [([], 0), (["a:a"], 0), (["a:a", "b:b", "c:c"], 0), (["a:a", "b:b", "c:c"], 1)]


def test_rows_stand_in_the_order_of_the_keys(make_key: MakeKey, developer: User) -> None:
    first, second = make_key(name="a")[0], make_key(name="b")[0]
    rows = key_rows([second, first], developer)
    assert [row.key for row in rows] == [second, first]
    assert [row.hints for row in rows] == [[key.secrets.get().hint] for key in (second, first)]


def test_one_option_is_chosen_or_none() -> None:
    choices = (("live", "Live"), ("test", "Test"))
    assert options(choices, "test") == [Option("live", "Live", False), Option("test", "Test", True)]
    assert not any(option.is_chosen for option in options(choices, "nonsense"))


def test_each_environment_says_what_it_is_for() -> None:
    radios = NewKeyForm().environment_radios
    assert [(radio.button.data["value"], radio.purpose) for radio in radios] == [
        ("live", "For real data"),
        ("test", "For testing"),
    ]


@pytest.mark.parametrize(
    ("fields", "used"),
    [
        ({}, False),
        ({"name": ""}, False),
        ({"networks": "192.0.2.1"}, True),
        ({"networks": "nonsense"}, True),
        ({"show_once": "on"}, True),
    ],
    ids=str,
)
def test_options_that_are_used_are_not_folded_away(fields: dict[str, str], used: bool) -> None:
    assert NewKeyForm(fields).uses_more_options == used


def test_an_error_of_the_form_as_a_whole_is_none_of_a_field() -> None:
    token = NewKeyForm.new_token()
    form = NewKeyForm({"name": "x", "environment": "live", "expiry": "never", "form_token": token})
    assert form.is_valid()
    form.add_error(None, "You have too many keys.")
    form.add_error(None, "And another reason.")
    assert not form.has_field_errors
    form.add_error("name", "Too odd.")
    assert form.has_field_errors


@pytest.mark.parametrize(
    ("own", "default", "words"),
    [
        ("5/second", "60/minute", "5/second, set by an operator"),
        ("", "60/minute", "60/minute, the portal's default"),
        ("", "", "None"),
    ],
)
def test_the_rate_limit_says_whose_it_is(
    make_key: MakeKey, developer: User, settings: Settings, own: str, default: str, words: str
) -> None:
    settings.KEYPORTAL_RATE_LIMIT = default
    key, _ = make_key()
    key.rate_limit = own
    assert key_page(key, developer, period="day").rate_limit == words


def test_the_timeline_has_the_newest_events_first(make_key: MakeKey, developer: User) -> None:
    key, _ = make_key()
    for number in range(25):
        Event.objects.create(verb=f"event_{number}", actor="system", subject_type="key", subject_id=key.pk, seal=b"")
    timeline = key_page(key, developer, period="day").timeline
    assert [told.sentence for told in timeline] == [f"Event {number}" for number in range(24, 4, -1)]


@pytest.mark.parametrize(
    ("verb", "details", "note", "widened"),
    [
        (EventType.KEY_CREATED, {"environment": "live"}, "", ""),
        (EventType.KEY_EDITED, {"changed": ["name"], "widened": []}, "name", ""),
        (
            EventType.KEY_EDITED,
            {"changed": ["expires_at", "networks", "rate_limit"], "widened": ["expires_at", "rate_limit"]},
            "expiry, networks, rate limit",
            "expiry, rate limit",
        ),
        (EventType.KEY_LIMITED, {"limit": "5/second"}, "5/second", ""),
        (EventType.KEY_LIMITED, {"limit": "", "widened": ["rate_limit"]}, "the default", "rate limit"),
        (EventType.KEY_REVOKED, {"limit": "5/second"}, "", ""),
    ],
)
def test_an_entry_says_what_was_changed(
    developer: User, verb: EventType, details: dict[str, Any], note: str, widened: str
) -> None:
    told = entry(verb, developer, details)
    assert (told.sentence, told.note, told.widened) == (verb.sentence, note, widened)
    assert told.by == ByWhom("by you", None)


@pytest.mark.parametrize(
    "details", [None, [], "text", 7, {"changed": "text", "widened": 7}, {"changed": {"a": 1}, "limit": []}], ids=str
)
def test_details_of_an_odd_form_do_not_break_the_page(developer: User, details: Any) -> None:
    told = entry(EventType.KEY_LIMITED, developer, details)
    assert (told.note, told.widened) == ("the default", "")
    assert entry(EventType.KEY_EDITED, developer, {"changed": [["a"], {}]}).note == "['a'], {}"
