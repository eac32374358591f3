"""What the account's pages show of events and sessions."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.view_models import by_whom, history_entry, session_row
from audit.models import Event

ME = User(id="usr_me")
NOW = timezone.now()


@pytest.mark.parametrize(
    ("actor", "words", "address"),
    [
        ("user:usr_me", "by you", "192.0.2.1"),
        ("user:usr_operator", "by an operator", None),
        ("user:usr_me2", "by an operator", None),
        ("command:revokekey", "by an operator at the command line", None),
        ("anonymous", "", "192.0.2.1"),
        ("system", "", "192.0.2.1"),
        ("client:key_1", "", "192.0.2.1"),
    ],
)
def test_an_operator_is_not_named_and_has_no_address(actor: str, words: str, address: str | None) -> None:
    assert by_whom(Event(actor=actor, address="192.0.2.1"), ME) == (words, address)


def test_only_an_event_about_a_key_leads_to_one() -> None:
    about = [Event(verb="logged_in", actor="system", subject_type=kind, subject_id="x_1") for kind in ("key", "user")]
    assert [history_entry(event, ME).key_id for event in about] == ["x_1", ""]
    assert history_entry(about[0], ME).sentence == "Logged in"


def session(**fields: Any) -> Any:
    common = {"pk": 1, "ip": "192.0.2.1", "created_at": NOW, "last_seen_at": NOW, "is_current": lambda: False}
    return SimpleNamespace(**{**common, **fields})


@pytest.mark.parametrize(
    ("agent", "browser"),
    [
        ("Firefox", "Firefox"),
        ("", "Unknown browser"),
        ("\u200b\u202e", "Unknown browser"),
        ("Fire\u202efox", "Firefox"),
    ],
    ids=ascii,
)
def test_a_session_names_its_browser_without_what_nobody_can_see(agent: str, browser: str) -> None:
    assert session_row(session(user_agent=agent), tracked=True).browser == browser


def test_a_session_says_when_it_was_used_only_where_that_is_tracked() -> None:
    row = session(user_agent="x")
    assert [session_row(row, tracked=tracked).seen_at for tracked in (True, False)] == [NOW, None]


@pytest.mark.parametrize("hostile", [b"user:usr_me", 7, None], ids=repr)
def test_a_row_that_the_portal_did_not_write_is_shown_without_an_error(hostile: Any) -> None:
    assert by_whom(Event(actor=hostile, address="192.0.2.1"), ME) == ("", "192.0.2.1")
    assert session_row(session(user_agent=hostile), tracked=True).browser == str(hostile)
