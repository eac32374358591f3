"""The end of the chain: newest links that were cut off show, also when the chain's state is changed with them."""

from datetime import timedelta

import pytest
from pytest_django import Settings

from audit.append_only import LINKS
from audit.append_only_health import STATE
from audit.chain import extend_chain
from audit.chain_state import write_state
from audit.models import ChainLink, ChainState, Event
from audit.verify_trail import verify_trail
from tests.accounts.trail import chained, execute, ids_in, unguarded, without_chain, write

__all__ = ["chained", "without_chain"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H15"), pytest.mark.usefixtures("without_chain")]


def test_a_link_that_was_kept_follows_no_other_than_it_did(chained: list[Event]) -> None:
    """Events and their link are taken away, the portal makes another link, and the next one is put back."""
    kept = ChainLink.objects.get(number=3)
    with unguarded():
        execute(f"DELETE FROM {LINKS} WHERE number > 1")
        Event.objects.filter(pk__in=[event.pk for event in chained[3:6]]).delete()
    put_state_back(to=1)
    assert extend_chain() == 3
    assert verify_trail().is_valid
    ChainLink.objects.bulk_create([kept])
    assert str(verify_trail().broken) == "3"


def put_state_back(*, to: int) -> None:
    """Put an old copy of the state in its place: its seal was genuine."""
    seal = ChainLink.objects.get(number=to).seal
    write_state(ChainState.objects.get(), head=to, head_seal=seal)


def cut_off(chained: list[Event], *, links: str = "number = 3", events: int = 6) -> None:
    """Take the newest events away with their links, and put the guards back."""
    with unguarded():
        execute(f"DELETE FROM {LINKS} WHERE {links}")
        Event.objects.filter(pk__in=[event.pk for event in chained[events:]]).delete()


@pytest.mark.parametrize(("links", "missing"), [("number = 3", "3"), ("number > 1", "2-3"), ("true", "1-3")])
def test_an_end_that_was_cut_off_shows_and_goes_on_showing(chained: list[Event], links: str, missing: str) -> None:
    cut_off(chained, links=links)
    report = verify_trail()
    assert (str(report.broken), report.is_valid) == (missing, False)
    write()
    assert extend_chain() >= 1
    write()
    assert extend_chain() == 1
    assert (str(verify_trail().broken), verify_trail().links) == (missing, 5 - len(report.broken))
    assert verify_trail().head.startswith("5:")


@pytest.mark.parametrize(
    "how",
    [
        "UPDATE {table} SET head = 2, head_seal = (SELECT seal FROM audit_chainlink WHERE number = 2)",
        "UPDATE {table} SET head = 0",
        "UPDATE {table} SET seal = head_seal",
        "DELETE FROM {table}",
    ],
)
def test_a_changed_state_does_not_hide_that_the_end_was_cut_off(chained: list[Event], how: str) -> None:
    cut_off(chained)
    execute(how.format(table=STATE))
    assert not verify_trail().is_valid
    assert verify_trail().unguarded[0].startswith(f"the row of {STATE} is ")
    write()
    extend_chain()
    report = verify_trail()  # nobody knows how many links there were: one number is left out for ever
    assert (str(report.broken), report.unguarded) == ("3", ())
    assert not report.is_valid


def test_a_link_in_the_place_of_the_last_one_shows(chained: list[Event]) -> None:
    """One that the portal made itself, when the state was another."""
    cut_off(chained)
    put_state_back(to=2)
    state = ChainState.objects.get()
    write_state(state, head=3, head_seal=state.head_seal)
    assert str(verify_trail().broken) == "3"
    put_state_back(to=2)
    write()
    assert extend_chain() == 1
    write_state(state, head=3, head_seal=b"of the one that is gone")
    assert str(verify_trail().broken) == "3"


def test_a_head_kept_elsewhere_shows_that_the_whole_trail_was_put_back(chained: list[Event]) -> None:
    head = verify_trail().head
    cut_off(chained)
    put_state_back(to=2)
    report = verify_trail()
    assert report.is_valid
    assert report.head != head


def test_events_that_no_link_covers_are_named_after_a_while(settings: Settings) -> None:
    old, _ = write(ago=timedelta(minutes=61)), write(ago=timedelta(minutes=50))
    assert verify_trail().is_valid
    settings.KEYPORTAL_AUDIT_CHAIN = True
    report = verify_trail()
    assert (str(report.unchained), report.is_valid) == (str(old.pk), False)
    assert extend_chain() == 2
    assert verify_trail().is_valid


def test_all_links_and_some_events_gone_is_not_whole(chained: list[Event]) -> None:
    cut_off(chained, links="true")
    execute(f"DELETE FROM {STATE}")
    report = verify_trail()
    assert (report.links, report.is_valid) == (0, False)
    assert ids_in(report.unchained) == {event.pk for event in chained[:6]}
