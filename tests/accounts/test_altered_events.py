"""The trail as a whole: what was altered, made up or removed shows, and `verifyaudit` says so."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit import chain
from audit.append_only import EVENTS, LINKS
from audit.models import ChainLink, Event
from audit.origin import Origin
from audit.verify_trail import verify_trail
from tests.accounts.trail import chained, execute, ids_in, plant, unguarded, without_chain, write
from tests.staleness import ON_SQLITE

__all__ = ["chained", "without_chain"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H15"), pytest.mark.usefixtures("without_chain")]
DETAILS: dict[str, Any] = {
    "text": "ä ☃",
    "number": 1e20,
    "half": 0.5,
    "list": [1, None, True],
    "nested": {"b": 1.0, "a": "x"},
}


def test_what_the_portal_writes_fits() -> None:
    write(**DETAILS)
    write(origin=Origin(actor="user:x", address="2001:DB8::A", peer="::ffff:192.0.2.1"))
    write(origin=Origin(actor="system"))
    report = verify_trail()
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
    assert str(verify_trail().forged) == str(event.pk + 1000 if column == "id" else event.pk)


def test_an_event_that_was_doubled_or_made_up_shows() -> None:
    event = write()
    columns = ", ".join(str(field.column) for field in Event._meta.concrete_fields if field.column != "id")
    execute(f"INSERT INTO {EVENTS} (id, {columns}) SELECT id + 10, {columns} FROM {EVENTS}")
    made_up = Event.objects.create(verb="key_created", actor="x", subject_type="key", subject_id="1", seal=b"")
    assert ids_in(verify_trail().forged) == {event.pk + 10, made_up.pk}


def test_a_trail_that_nothing_guards_any_more_is_not_whole() -> None:
    write()
    with unguarded():
        report = verify_trail()
    what = "is missing" if ON_SQLITE else "does not always fire"
    assert f"the trigger audit_refuses_change_{EVENTS} {what}" in report.unguarded
    assert not report.is_valid
    assert verify_trail().is_valid


UNREADABLE = ["at = 'x'", "details = '{'", "address = 'x'", "verb = CAST(x'ff' AS TEXT)", "seal = 'x'", "seal = 7"]
UNREADABLE_ON_POSTGRESQL = ["address = '192.0.2.1/8'", "seal = ''", "details = '[[[]]]'"]


@pytest.mark.parametrize("change", UNREADABLE if ON_SQLITE else UNREADABLE_ON_POSTGRESQL)
def test_an_event_that_can_not_even_be_read_hides_no_other(change: str) -> None:
    events = [write() for _ in range(4)]
    with unguarded():
        execute(f"UPDATE {EVENTS} SET {change} WHERE id = {events[1].pk}")
        execute(f"UPDATE {EVENTS} SET verb = 'x' WHERE id = {events[3].pk}")
    report = verify_trail()
    assert str(report.forged) == f"{events[1].pk} {events[3].pk}"
    assert report.events == 4


def test_another_genuine_event_in_an_event_s_place_shows(chained: list[Event]) -> None:
    """As after a restore: its seal fits, and it is not the one that the link was made over."""
    event = chained[4]
    event.verb = "another"
    event.seal = event.make_seal()
    with unguarded():
        event.save()
    report = verify_trail()
    assert (str(report.forged), str(report.removed), str(report.broken)) == ("", "", "2")


def test_a_digest_made_for_a_replaced_event_does_not_hide_it(chained: list[Event]) -> None:
    event = chained[4]
    event.verb = "another"
    event.seal = event.make_seal()
    with unguarded():
        event.save()
        ChainLink.objects.filter(number=2).update(digest=chain.digest_of(bytes(one.seal) for one in chained[3:6]))
    assert str(verify_trail().broken).startswith("2")


def test_gaps_in_the_ids_are_a_hint_and_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a chain this is the only trace of what the owner of the tables removed; a rollback leaves one too."""
    events = [write() for _ in range(6)]
    assert verify_trail().is_valid
    assert not ids_in(verify_trail().gaps) & {event.pk for event in events}
    with unguarded():
        Event.objects.filter(pk__in=[events[1].pk, events[2].pk, events[4].pk]).delete()
    plant(Event, id=2**62, verb="x", actor="x", subject_type="x", subject_id="x")
    report = verify_trail()
    assert ids_in(report.gaps) - set(range(1, events[0].pk)) == {events[1].pk, events[2].pk, events[4].pk}
    with pytest.raises(CommandError):
        call_command("verifyaudit")
    assert f"{events[1].pk}-{events[2].pk} {events[4].pk} (not a fault by itself" in capsys.readouterr().out


def test_the_command_says_what_does_not_fit(chained: list[Event], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("verifyaudit")
    assert capsys.readouterr().out.startswith("9 events, 3 links\nhead 3:")
    with unguarded():
        execute(
            f"UPDATE {EVENTS} SET actor = 'x' WHERE id = {chained[0].pk}",
            f"DELETE FROM {EVENTS} WHERE id = {chained[1].pk}",
            f"UPDATE {LINKS} SET ids = 'x' WHERE number = 3",
        )
    with pytest.raises(CommandError, match="not as the portal wrote it") as refusal:
        call_command("verifyaudit")
    assert refusal.value.returncode == 1
    said = capsys.readouterr().out
    assert f"altered or forged: {chained[0].pk}\nremoved: {chained[1].pk}\nlinks that do not match: 3\n" in said
