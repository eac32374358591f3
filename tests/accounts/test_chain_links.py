"""Links of the chain over the trail: what was removed, altered, forged or put in another order shows."""

from datetime import timedelta

import pytest

from audit.append_only import EVENTS, LINKS
from audit.chain import extend_chain
from audit.models import ChainLink, Event
from audit.verify_trail import verify_trail
from tests.accounts.trail import chained, execute, ids_in, unguarded, without_chain, write
from tests.staleness import ON_SQLITE

__all__ = ["chained", "without_chain"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H15"), pytest.mark.usefixtures("without_chain")]


def test_a_chain_over_all_of_it_fits(chained: list[Event]) -> None:
    report = verify_trail()
    assert (report.events, report.links, report.is_valid) == (9, 3, True)
    assert report.head.startswith("3:")
    assert extend_chain() == 0


@pytest.mark.parametrize("gone", [[0], [8], [1, 2, 4], list(range(9))], ids=str)
def test_an_event_that_was_removed_is_named(chained: list[Event], gone: list[int]) -> None:
    ids = [chained[position].pk for position in gone]
    with unguarded():
        Event.objects.filter(pk__in=ids).delete()
    report = verify_trail()
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
        assert verify_trail().is_valid
    assert [link.ids for link in ChainLink.objects.order_by("number")][3:] == [str(beyond.pk), str(late.pk)]
    with unguarded():
        Event.objects.filter(pk__in=[late.pk, young.pk]).delete()
    assert str(verify_trail().removed) == str(late.pk)


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
    execute(f"INSERT INTO {LINKS} (number, at, removed, ids, reach, digest, seal) VALUES ({values})")
    forged = int(link.partition(",")[0])
    later = [write() for _ in range(2)]
    assert extend_chain() == 2
    report = verify_trail()
    assert report.broken.spans[0][0] == (4 if forged == 4 else 5)
    assert forged in report.broken
    assert (str(report.forged), str(report.removed), report.links) == ("", "", 4)
    assert report.head.startswith("5:" if forged == 4 else "4:")
    later.append(write())
    assert extend_chain() == 1
    gone = [later[0].pk, later[2].pk]
    with unguarded():
        Event.objects.filter(pk__in=gone).delete()
    assert ids_in(verify_trail().removed) == set(gone)


def test_an_event_with_a_hostile_seal_does_not_stop_the_chain(chained: list[Event]) -> None:
    columns = "verb, actor, subject_type, subject_id, request_id, details, at, seal"
    seal = "1000000000" if ON_SQLITE else "''"
    values = f"'x', 'x', 'x', 'x', '', '{{}}', '2020-01-01 00:00:00', {seal}"
    execute(f"INSERT INTO {EVENTS} (id, {columns}) VALUES ({chained[-1].pk + 1}, {values})")
    assert extend_chain() == 1
    assert str(verify_trail().forged) == str(chained[-1].pk + 1)
    assert not verify_trail().broken.spans


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
        execute(change.format(table=LINKS))
    report = verify_trail()
    assert report.broken.spans[0][0] == 2
    assert not report.is_valid
    extend_chain()  # the chain goes on all the same
    assert not verify_trail().is_valid


def test_links_in_another_order_show(chained: list[Event]) -> None:
    with unguarded():
        for old, new in ((2, 9), (3, 2), (9, 3)):
            execute(f"UPDATE {LINKS} SET number = {new} WHERE number = {old}")
    assert str(verify_trail().broken) == "2-3"
