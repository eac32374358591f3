"""Events whose time is over are removed in batches, on the record, without an alarm."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from audit import removal
from audit import verify_trail as verifying
from audit.append_only import EVENTS
from audit.chain import extend_chain
from audit.event_types import EventType
from audit.models import ChainState, Event
from audit.removal import remove_expired_events
from audit.verify_trail import verify_trail
from keyportal.purge import purge
from tests.accounts.trail import LONG_AGO, execute, unguarded, without_chain, write
from tests.conftest import ORIGIN
from tests.staleness import ON_SQLITE

__all__ = ["without_chain"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H15"), pytest.mark.usefixtures("without_chain")]


@pytest.fixture
def over(settings: Settings) -> list[Event]:
    """Five events that could go since two days, and one that is kept."""
    settings.KEYPORTAL_AUDIT_DAYS = 1
    events = [write(ago=LONG_AGO + timedelta(minutes=number)) for number in range(5)]
    settings.KEYPORTAL_AUDIT_DAYS = 0
    write(EventType.KEY_LIMITED)
    return events


def removals() -> list[dict[str, Any]]:
    events = Event.objects.filter(verb="events_removed").order_by("pk")
    return list(events.values_list("details", flat=True))


def test_the_purge_removes_what_is_over_in_batches_and_says_so_once(over: list[Event]) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert purge(by="test", batch=2)["audit events"] == 5
    deleting = [query["sql"] for query in queries if query["sql"].startswith(f'DELETE FROM "{EVENTS}"')]
    assert len(deleting) == 3
    assert set(Event.objects.values_list("verb", flat=True)) == {"key_limited", "events_removed"}
    assert removals() == [{"count": 5, "earliest": over[4].at.isoformat(), "latest": over[0].at.isoformat()}]
    assert purge(by="test")["audit events"] == 0
    assert len(removals()) == 1
    assert verify_trail().is_valid


def test_by_default_everything_is_kept() -> None:
    write(ago=timedelta(days=5000))
    assert purge(by="test")["audit events"] == 0
    assert Event.objects.count() == 1


def test_a_removal_that_breaks_off_is_told_by_the_next_one(over: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    remove, rounds = removal._remove_some_events, []

    def break_off(batch: int) -> int:
        rounds.append(batch)
        if len(rounds) == 2:
            raise KeyboardInterrupt
        return remove(batch)

    monkeypatch.setattr(removal, "_remove_some_events", break_off)
    with pytest.raises(KeyboardInterrupt):
        remove_expired_events(origin=ORIGIN, batch=2)
    assert removals() == []
    assert remove_expired_events(origin=ORIGIN, batch=2) == 3
    assert removals() == [{"count": 5, "earliest": over[4].at.isoformat(), "latest": over[0].at.isoformat()}]
    assert ChainState.objects.get().count == 0


def test_a_count_of_removals_that_somebody_wrote_is_not_told_as_ours(
    over: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    remove_expired_events(origin=ORIGIN, batch=2, batches=1)
    execute("UPDATE audit_chainstate SET count = 1000000, earliest = '2001-01-01 00:00:00', latest = earliest")
    remove_expired_events(origin=ORIGIN, batch=100)
    assert [removal["count"] for removal in removals()] == [2, 3]
    assert "integrity_violation" in caplog.text


def test_a_hostile_event_keeps_no_other_from_being_removed(over: list[Event]) -> None:
    with unguarded():
        execute(f"UPDATE {EVENTS} SET {'at = 7' if ON_SQLITE else 'verb = verb'} WHERE id = {over[0].pk}")
    assert purge(by="test")["audit events"] == 5
    assert removals()[0]["count"] == 5


@pytest.mark.parametrize("still_on", [True, False])
def test_an_event_that_was_removed_in_its_time_raises_no_alarm(
    over: list[Event], settings: Settings, still_on: bool
) -> None:
    settings.KEYPORTAL_AUDIT_CHAIN = True
    extend_chain()
    settings.KEYPORTAL_AUDIT_CHAIN = still_on
    remove_expired_events(origin=ORIGIN, batch=2, batches=1)
    assert verify_trail().is_valid
    remove_expired_events(origin=ORIGIN, batch=2)
    report = verify_trail()
    assert (report.is_valid, report.links) == (True, 4)


def test_an_event_that_was_removed_past_the_portal_is_named(over: list[Event], settings: Settings) -> None:
    settings.KEYPORTAL_AUDIT_CHAIN = True
    extend_chain()
    execute(f"DELETE FROM {EVENTS} WHERE id = {over[2].pk}")
    remove_expired_events(origin=ORIGIN, batch=100)
    assert str(verify_trail().removed) == str(over[2].pk)


def test_what_goes_on_while_it_is_read_raises_no_alarm(
    over: list[Event], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the links and the events, and between the events and their digests."""
    settings.KEYPORTAL_AUDIT_CHAIN = True
    extend_chain()

    def meanwhile(read: Callable[..., Any]) -> Callable[..., Any]:
        def reading(*arguments: Any, **options: Any) -> Any:
            remove_expired_events(origin=ORIGIN, batch=2, batches=1)
            write()
            extend_chain()
            return read(*arguments, **options)

        return reading

    for name in ("_present", "_links_of_other_events"):
        monkeypatch.setattr(verifying, name, meanwhile(getattr(verifying, name)))
    report = verify_trail()
    assert report.is_valid
    assert Event.objects.filter(pk__in=[event.pk for event in over]).count() == 1
