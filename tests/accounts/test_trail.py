"""The trail as a whole: what was altered, made up or removed shows, and what was not raises no alarm."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from audit import chain as trail
from audit import removal, verify_trail
from audit.append_only import CHECKPOINTS, EVENTS
from audit.chain import extend_chain, extend_when_due
from audit.chain_state import write_state
from audit.event_types import EventType
from audit.guard_health import STATE
from audit.id_ranges import IdRanges
from audit.models import ChainState, Checkpoint, Event
from audit.origin import Origin
from audit.removal import remove_expired_events
from audit.services import record_event
from audit.verify_trail import TrailReport
from integrity.sealed import SealedRow
from keyportal.purge import purge
from tests.conftest import ORIGIN
from tests.settings_reader import read_settings
from tests.staleness import ON_SQLITE

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H15")]

LONG_AGO = timedelta(days=3)
DETAILS: dict[str, Any] = {
    "text": "ä ☃",
    "number": 1e20,
    "half": 0.5,
    "list": [1, None, True],
    "nested": {"b": 1.0, "a": "x"},
}


@pytest.fixture(autouse=True)
def _no_chain(settings: Settings) -> None:
    settings.KEYPORTAL_AUDIT_CHAIN = False


def write(
    verb: EventType = EventType.KEY_CREATED, *, ago: timedelta = LONG_AGO, origin: Origin = ORIGIN, **details: Any
) -> Event:
    with time_machine.travel(datetime.now(UTC) - ago, tick=False):
        return record_event(verb, subject="key:key_1", origin=origin, **details)


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def plant(model: type[SealedRow], **fields: Any) -> None:
    """Insert a row past the portal, without a seal that fits."""
    model._default_manager.bulk_create([model(**fields, seal=b"")])


@contextmanager
def unguarded() -> Iterator[None]:
    """Do what only the owner of the tables can: no trigger refuses anything."""
    if ON_SQLITE:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit_%'")
            dropped = cursor.fetchall()
        execute(*(f"DROP TRIGGER {name}" for name, _ in dropped), "PRAGMA ignore_check_constraints = ON")
        yield
        execute(*(sql for _, sql in dropped), "PRAGMA ignore_check_constraints = OFF")
        return
    names = ("change", "removal", "truncation")
    execute(*(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in (EVENTS, CHECKPOINTS)))
    yield
    for table in (EVENTS, CHECKPOINTS):
        execute(*(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER audit_refuses_{name}_{table}" for name in names))


def ids_in(found: IdRanges) -> set[int]:
    return {number for first, last in found.spans for number in range(first, last + 1)}


def told() -> TrailReport:
    return verify_trail.verify_trail()


def test_what_the_portal_writes_fits() -> None:
    write(**DETAILS)
    write(origin=Origin(actor="user:x", address="2001:DB8::A", peer="::ffff:192.0.2.1"))
    write(origin=Origin(actor="system"))
    report = told()
    assert (report.events, report.links, report.head, report.is_valid) == (3, 0, "", True)


ALTERED = {
    "id": "id + 1000",
    "at": "'2020-01-01 00:00:00.000000'",
    "verb": "'key_revoked'",
    "actor": "'user:somebody'",
    "subject_type": "'user'",
    "subject_id": "'key_2'",
    "address": "NULL",
    "peer": "'192.0.2.99'",
    "request_id": "'another'",
    "details": "'{{}}'",
    "keep_until": "'2020-01-01 00:00:00.000000'",
    "seal": "(SELECT seal FROM audit_event WHERE id = {other})",
}


def test_every_column_of_an_event_is_covered() -> None:
    assert set(ALTERED) == {field.column for field in Event._meta.concrete_fields}


@pytest.mark.parametrize("column", ALTERED)
def test_an_event_that_was_altered_shows(column: str) -> None:
    event, other = write(environment="live"), write(environment="live")
    with unguarded():
        changed = ALTERED[column].format(other=other.pk)
        execute(f"UPDATE {EVENTS} SET {column} = {changed} WHERE id = {event.pk}")
    assert str(told().forged) == str(event.pk + 1000 if column == "id" else event.pk)


def test_an_event_that_was_doubled_or_made_up_shows() -> None:
    event = write()
    columns = ", ".join(str(field.column) for field in Event._meta.concrete_fields if field.column != "id")
    execute(f"INSERT INTO {EVENTS} (id, {columns}) SELECT id + 10, {columns} FROM {EVENTS}")
    made_up = Event.objects.create(verb="key_created", actor="x", subject_type="key", subject_id="1", seal=b"")
    assert ids_in(told().forged) == {event.pk + 10, made_up.pk}


def test_a_trail_that_nothing_guards_any_more_is_not_whole() -> None:
    write()
    with unguarded():
        report = told()
    what = "is missing" if ON_SQLITE else "does not always fire"
    assert f"the trigger audit_refuses_change_{EVENTS} {what}" in report.unguarded
    assert not report.is_valid
    assert told().is_valid


UNREADABLE = ["at = 'x'", "details = '{'", "address = 'x'", "verb = CAST(x'ff' AS TEXT)", "seal = 'x'", "seal = 7"]
UNREADABLE_ON_POSTGRESQL = ["address = '192.0.2.1/8'", "seal = ''", "details = '[[[]]]'"]


@pytest.mark.parametrize("change", UNREADABLE if ON_SQLITE else UNREADABLE_ON_POSTGRESQL)
def test_an_event_that_can_not_even_be_read_hides_no_other(change: str) -> None:
    events = [write() for _ in range(4)]
    with unguarded():
        execute(f"UPDATE {EVENTS} SET {change} WHERE id = {events[1].pk}")
        execute(f"UPDATE {EVENTS} SET verb = 'x' WHERE id = {events[3].pk}")
    report = told()
    assert str(report.forged) == f"{events[1].pk} {events[3].pk}"
    assert report.events == 4


@pytest.fixture
def chained(settings: Settings) -> list[Event]:
    """Nine events under a chain of three links."""
    settings.KEYPORTAL_AUDIT_CHAIN = True
    events = []
    for _ in range(3):
        events += [write() for _ in range(3)]
        assert extend_chain() == 3
    return events


def test_a_chain_over_all_of_it_fits(chained: list[Event]) -> None:
    report = told()
    assert (report.events, report.links, report.is_valid) == (9, 3, True)
    assert report.head.startswith("3:")
    assert extend_chain() == 0


@pytest.mark.parametrize("gone", [[0], [8], [1, 2, 4], list(range(9))], ids=str)
def test_an_event_that_was_removed_is_named(chained: list[Event], gone: list[int]) -> None:
    ids = [chained[position].pk for position in gone]
    with unguarded():
        Event.objects.filter(pk__in=ids).delete()
    report = told()
    assert ids_in(report.removed) == set(ids)
    assert not report.is_valid


def test_a_younger_event_waits_and_one_that_comes_late_is_in_a_later_link(chained: list[Event]) -> None:
    """By a transaction that took its id before the others were committed."""
    young = write(ago=timedelta(seconds=50))
    late = Event(**{name: getattr(chained[0], name) for name in FIELDS}, pk=chained[-1].pk + 100)
    beyond = Event(**{name: getattr(chained[0], name) for name in FIELDS}, pk=chained[-1].pk + 101)
    for event in (beyond, late):
        event.seal = event.make_seal()
        event.save(force_insert=True)
        assert extend_chain() == 1
        assert told().is_valid
    assert [link.ids for link in Checkpoint.objects.order_by("number")][3:] == [str(beyond.pk), str(late.pk)]
    with unguarded():
        Event.objects.filter(pk__in=[late.pk, young.pk]).delete()
    assert str(told().removed) == str(late.pk)


FIELDS = [field.attname for field in Event._meta.concrete_fields if field.attname not in ("id", "seal")]


FORGED_LINKS = [
    "4, '2020-01-01 00:00:00', false, '1-999999', 999999999, {bytes}, {bytes}",
    "900, '2020-01-01 00:00:00', false, '1', 5, {bytes}, {bytes}",
    *(f"{end}, '2020-01-01 00:00:00', false, '1-{end}', {end}, {{bytes}}, {{bytes}}" for end in (2**63 - 2, 2**63 - 1)),
    "900, '2999-01-01 00:00:00', false, '1', 5, {bytes}, {bytes}",
    *(("4, 'x', 'x', 7, 'x', 'x', 'x'", "4, 1, false, '1', 5, 1000000000, 1000000000") if ON_SQLITE else ()),
]


@pytest.mark.parametrize("link", FORGED_LINKS)
def test_a_link_that_somebody_else_has_inserted_shows_and_stops_nothing(chained: list[Event], link: str) -> None:
    values = link.format(bytes="x'00'" if ON_SQLITE else "'\\x00'")
    execute(f"INSERT INTO {CHECKPOINTS} (number, at, removed, ids, reach, digest, seal) VALUES ({values})")
    forged = int(link.partition(",")[0])
    later = [write() for _ in range(2)]
    assert extend_chain() == 2
    report = told()
    assert report.broken.spans[0][0] == (4 if forged == 4 else 5)
    assert forged in report.broken
    assert (str(report.forged), str(report.removed), report.links) == ("", "", 4)
    assert report.head.startswith("5:" if forged == 4 else "4:")
    later.append(write())
    assert extend_chain() == 1
    gone = [later[0].pk, later[2].pk]
    with unguarded():
        Event.objects.filter(pk__in=gone).delete()
    assert ids_in(told().removed) == set(gone)


def test_an_event_with_a_hostile_seal_does_not_stop_the_chain(chained: list[Event]) -> None:
    columns = "verb, actor, subject_type, subject_id, request_id, details, at, seal"
    seal = "1000000000" if ON_SQLITE else "''"
    values = f"'x', 'x', 'x', 'x', '', '{{}}', '2020-01-01 00:00:00', {seal}"
    execute(f"INSERT INTO {EVENTS} (id, {columns}) VALUES ({chained[-1].pk + 1}, {values})")
    assert extend_chain() == 1
    assert str(told().forged) == str(chained[-1].pk + 1)
    assert not told().broken.spans


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM {table} WHERE number = 2",
        "UPDATE {table} SET ids = '1' WHERE number = 2",
        "UPDATE {table} SET ids = 'x' WHERE number = 2",
        "UPDATE {table} SET at = '2020-01-01 00:00:00' WHERE number = 2",
        "UPDATE {table} SET removed = NOT removed WHERE number = 2",
        "UPDATE {table} SET reach = 0 WHERE number = 2",
        "UPDATE {table} SET digest = seal WHERE number = 2",
        "UPDATE {table} SET seal = digest WHERE number = 2",
    ],
)
def test_a_link_that_was_altered_or_removed_shows(chained: list[Event], change: str) -> None:
    with unguarded():
        execute(change.format(table=CHECKPOINTS))
    report = told()
    assert report.broken.spans[0][0] == 2
    assert not report.is_valid
    extend_chain()  # the chain goes on all the same
    assert not told().is_valid


def test_links_in_another_order_show(chained: list[Event]) -> None:
    with unguarded():
        for old, new in ((2, 9), (3, 2), (9, 3)):
            execute(f"UPDATE {CHECKPOINTS} SET number = {new} WHERE number = {old}")
    assert str(told().broken) == "2-3"


def test_another_genuine_event_in_an_event_s_place_shows(chained: list[Event]) -> None:
    """As after a restore: its seal fits, and it is not the one that the link was made over."""
    event = chained[4]
    event.verb = "another"
    event.seal = event.make_seal()
    with unguarded():
        event.save()
    report = told()
    assert (str(report.forged), str(report.removed), str(report.broken)) == ("", "", "2")


def test_nor_does_a_digest_that_somebody_has_made_for_it_hide_it(chained: list[Event]) -> None:
    event = chained[4]
    event.verb = "another"
    event.seal = event.make_seal()
    with unguarded():
        event.save()
        Checkpoint.objects.filter(number=2).update(digest=trail.digest_of(bytes(one.seal) for one in chained[3:6]))
    assert str(told().broken).startswith("2")


def test_a_link_that_was_kept_follows_no_other_than_it_did(chained: list[Event]) -> None:
    """Somebody takes events and their link away, lets the portal make another one, and puts the next one back."""
    kept = Checkpoint.objects.get(number=3)
    with unguarded():
        execute(f"DELETE FROM {CHECKPOINTS} WHERE number > 1")
        Event.objects.filter(pk__in=[event.pk for event in chained[3:6]]).delete()
    put_state_back(to=1)
    assert extend_chain() == 3
    assert told().is_valid
    Checkpoint.objects.bulk_create([kept])
    assert str(told().broken) == "3"


def put_state_back(*, to: int) -> None:
    """Put an old copy of the state in its place: its seal was genuine."""
    seal = Checkpoint.objects.get(number=to).seal
    write_state(ChainState.objects.get(), head=to, head_seal=seal)


def cut_off(chained: list[Event], *, links: str = "number = 3", events: int = 6) -> None:
    """Take the newest events away with their links, and put the guards back."""
    with unguarded():
        execute(f"DELETE FROM {CHECKPOINTS} WHERE {links}")
        Event.objects.filter(pk__in=[event.pk for event in chained[events:]]).delete()


@pytest.mark.parametrize(("links", "missing"), [("number = 3", "3"), ("number > 1", "2-3"), ("true", "1-3")])
def test_an_end_that_was_cut_off_shows_and_goes_on_showing(chained: list[Event], links: str, missing: str) -> None:
    cut_off(chained, links=links)
    report = told()
    assert (str(report.broken), report.is_valid) == (missing, False)
    write()
    assert extend_chain() >= 1
    write()
    assert extend_chain() == 1
    assert (str(told().broken), told().links) == (missing, 5 - len(report.broken))
    assert told().head.startswith("5:")


@pytest.mark.parametrize(
    "how",
    [
        "UPDATE {table} SET head = 2, head_seal = (SELECT seal FROM audit_checkpoint WHERE number = 2)",
        "UPDATE {table} SET head = 0",
        "UPDATE {table} SET seal = head_seal",
        "DELETE FROM {table}",
    ],
)
def test_nor_is_it_hidden_by_who_changes_what_the_state_says(chained: list[Event], how: str) -> None:
    cut_off(chained)
    execute(how.format(table=STATE))
    assert not told().is_valid
    assert told().unguarded[0].startswith(f"the row of {STATE} is ")
    write()
    extend_chain()
    report = told()  # nobody knows how many links there were: one number is left out for ever
    assert (str(report.broken), report.unguarded) == ("3", ())
    assert not report.is_valid


def test_a_link_in_the_place_of_the_last_one_shows(chained: list[Event]) -> None:
    """One that the portal made itself, when the state was another."""
    cut_off(chained)
    put_state_back(to=2)
    state = ChainState.objects.get()
    write_state(state, head=3, head_seal=state.head_seal)
    assert str(told().broken) == "3"
    put_state_back(to=2)
    write()
    assert extend_chain() == 1
    write_state(state, head=3, head_seal=b"of the one that is gone")
    assert str(told().broken) == "3"


def test_whoever_keeps_the_head_elsewhere_sees_that_all_was_put_back(chained: list[Event]) -> None:
    head = told().head
    cut_off(chained)
    put_state_back(to=2)
    report = told()
    assert report.is_valid
    assert report.head != head


def test_events_that_no_link_covers_are_named_after_a_while(settings: Settings) -> None:
    old, _ = write(ago=timedelta(minutes=61)), write(ago=timedelta(minutes=50))
    assert told().is_valid
    settings.KEYPORTAL_AUDIT_CHAIN = True
    report = told()
    assert (str(report.unchained), report.is_valid) == (str(old.pk), False)
    assert extend_chain() == 2
    assert told().is_valid


def test_all_links_and_some_events_gone_is_not_whole(chained: list[Event]) -> None:
    cut_off(chained, links="true")
    execute(f"DELETE FROM {STATE}")
    report = told()
    assert (report.links, report.is_valid) == (0, False)
    assert ids_in(report.unchained) == {event.pk for event in chained[:6]}


def test_gaps_in_the_ids_are_a_hint_and_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a chain the only trace of what was removed by whoever owns the tables; a rollback leaves one too."""
    events = [write() for _ in range(6)]
    assert told().is_valid
    assert not ids_in(told().gaps) & {event.pk for event in events}
    with unguarded():
        Event.objects.filter(pk__in=[events[1].pk, events[2].pk, events[4].pk]).delete()
    plant(Event, id=2**62, verb="x", actor="x", subject_type="x", subject_id="x")
    report = told()
    assert ids_in(report.gaps) - set(range(1, events[0].pk)) == {events[1].pk, events[2].pk, events[4].pk}
    with pytest.raises(CommandError):
        call_command("verifyaudit")
    assert f"{events[1].pk}-{events[2].pk} {events[4].pk} (not a fault by itself" in capsys.readouterr().out


def test_by_default_there_is_a_chain() -> None:
    assert read_settings().option("KEYPORTAL_AUDIT_CHAIN") is True


def test_planted_events_keep_no_other_from_being_chained(chained: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    """With ids by which the chain could seem to reach further than it does, and more of them than it reads."""
    monkeypatch.setattr(trail, "BATCH", 4)
    monkeypatch.setattr(trail, "MAX_LATE_IDS", 3)
    old = {"at": chained[0].at, "verb": "x", "actor": "x", "subject_type": "x", "subject_id": "x"}
    for number in (*range(50_000, 50_020), 2**63 - 1):
        plant(Event, id=number, **old)
    later = [Event(**{name: getattr(chained[0], name) for name in FIELDS}, pk=n) for n in (49_999, 60_000)]
    for event in later:
        event.seal = event.make_seal()
        event.save(force_insert=True)
        extend_now_and_then_until_done()
    with unguarded():
        Event.objects.filter(pk__in=[event.pk for event in later]).delete()
    assert ids_in(told().removed) == {event.pk for event in later}


def extend_now_and_then_until_done() -> None:
    for _ in range(100):
        if not extend_chain():
            return
    raise AssertionError("the chain never comes to an end")


def test_planted_links_do_not_stop_the_chain(chained: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than are read: the same events would be chained over and over."""
    monkeypatch.setattr(trail, "RECENT", 5)
    at = datetime.now(UTC) + timedelta(days=1)
    for number in range(100, 120):
        plant(Checkpoint, number=number, at=at, ids="1", reach=1, digest=b"")
    event = write()
    assert extend_chain() == 1
    assert extend_chain() == 0
    assert Checkpoint.objects.get(number=4).ids == str(event.pk)


def test_a_planted_link_of_tomorrow_keeps_no_worker_from_extending(settings: Settings) -> None:
    settings.KEYPORTAL_AUDIT_CHAIN = True
    write()
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1)):
        extend_chain()
    at = datetime.now(UTC) + timedelta(days=1)
    plant(Checkpoint, number=77, at=at, ids="1", reach=1, digest=b"")
    event = write()
    extend_when_due()
    assert Checkpoint.objects.get(number=2).ids == str(event.pk)


def test_without_the_setting_nothing_is_chained(settings: Settings) -> None:
    write()
    extend_when_due()
    assert not Checkpoint.objects.exists()
    settings.KEYPORTAL_AUDIT_CHAIN = True
    extend_when_due()
    write()
    extend_when_due()  # another worker has done it a moment ago
    assert list(Checkpoint.objects.values_list("number", flat=True)) == [1]


def test_many_events_make_many_links(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.KEYPORTAL_AUDIT_CHAIN = True
    monkeypatch.setattr(trail, "BATCH", 4)
    monkeypatch.setattr(trail, "MAX_LATE_IDS", 3)
    for _ in range(10):
        write()
    extend_when_due()
    assert [len(trail.ids_of(link)) for link in Checkpoint.objects.order_by("number")] == [4, 4, 2]
    assert told().is_valid


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
    assert told().is_valid


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
def test_what_was_removed_in_its_time_is_missed_by_nobody(
    over: list[Event], settings: Settings, still_on: bool
) -> None:
    settings.KEYPORTAL_AUDIT_CHAIN = True
    extend_chain()
    settings.KEYPORTAL_AUDIT_CHAIN = still_on
    remove_expired_events(origin=ORIGIN, batch=2, batches=1)
    assert told().is_valid
    remove_expired_events(origin=ORIGIN, batch=2)
    report = told()
    assert (report.is_valid, report.links) == (True, 4)


def test_what_somebody_else_removed_in_its_time_is_named(over: list[Event], settings: Settings) -> None:
    settings.KEYPORTAL_AUDIT_CHAIN = True
    extend_chain()
    execute(f"DELETE FROM {EVENTS} WHERE id = {over[2].pk}")
    remove_expired_events(origin=ORIGIN, batch=100)
    assert str(told().removed) == str(over[2].pk)


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
        monkeypatch.setattr(verify_trail, name, meanwhile(getattr(verify_trail, name)))
    report = told()
    assert report.is_valid
    assert Event.objects.filter(pk__in=[event.pk for event in over]).count() == 1


def test_the_command_says_what_does_not_fit(chained: list[Event], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("verifyaudit")
    assert capsys.readouterr().out.startswith("9 events, 3 links\nhead 3:")
    with unguarded():
        execute(
            f"UPDATE {EVENTS} SET actor = 'x' WHERE id = {chained[0].pk}",
            f"DELETE FROM {EVENTS} WHERE id = {chained[1].pk}",
            f"UPDATE {CHECKPOINTS} SET ids = 'x' WHERE number = 3",
        )
    with pytest.raises(CommandError, match="not as the portal wrote it") as refusal:
        call_command("verifyaudit")
    assert refusal.value.returncode == 1
    said = capsys.readouterr().out
    assert f"altered or forged: {chained[0].pk}\nremoved: {chained[1].pk}\nlinks that do not match: 3\n" in said
