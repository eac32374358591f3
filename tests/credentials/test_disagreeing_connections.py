"""Connections that lead to different databases end the trust in the listener until all agree."""

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError
from django.db.backends.signals import connection_created
from django.db.backends.sqlite3.base import DatabaseWrapper

from credentials.verified_cache.database_identity import DatabaseIdentity
from credentials.verified_cache.lease import SECONDS
from tests.credentials.leases import Leased, leased

__all__ = ["leased"]

pytestmark = pytest.mark.once  # the other database has a listener: test_listener_cut_off
ANY = nullcontext()
HERE, THERE = DatabaseIdentity("1.5", 1, (1, 2)), DatabaseIdentity("1.5", 1, (1, 3))


def announce_connection(place: DatabaseIdentity | Exception, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Let Django announce a connection to this database; `meanwhile` is called before the connection has said so."""

    def fetchone() -> Any:
        meanwhile()
        if isinstance(place, Exception):
            raise place
        return place.server, place.database, list(place.tables)

    raw = SimpleNamespace(cursor=lambda: SimpleNamespace(execute=lambda *query: None, fetchone=fetchone))
    made = SimpleNamespace(alias="default", vendor="postgresql", connection=raw, close=lambda: None)
    connection_created.send(sender=DatabaseWrapper, connection=SimpleNamespace(**vars(made), wrap_database_errors=ANY))


@pytest.mark.finding("H43")
def test_a_connection_that_leads_elsewhere_ends_the_trust_until_all_agree(leased: Leased) -> None:
    fresh, _, clock = leased
    fresh.current()
    fresh.lease.switch_database(HERE)
    clock[0] += 1
    fresh.lease.renew(since=clock[0])
    assert fresh.current() is None  # this thread's connection may be an old one
    announce_connection(HERE)
    kept_in = fresh.current()
    assert kept_in is not None
    announce_connection(THERE)
    assert fresh.cache.generation != kept_in  # what was being asked meanwhile is not kept
    clock[0] += 1
    fresh.lease.renew(since=clock[0])
    assert [fresh.current() for _ in range(3)] == [None] * 3
    assert fresh.lease.disagreement == "connections to the database lead to different servers, databases or tables"
    fresh.lease.switch_database(THERE)
    announce_connection(THERE)
    clock[0] += 1
    fresh.lease.renew(since=clock[0])
    assert fresh.current() is not None
    assert fresh.lease.disagreement == ""


@pytest.mark.finding("H43")
def test_while_nobody_listens_no_connection_disagrees(leased: Leased) -> None:
    fresh, _, clock = leased
    fresh.current()
    fresh.lease.switch_database(HERE)
    fresh.lease.on_listener_stopped()
    announce_connection(THERE)
    fresh.lease.renew(since=clock[0] + 1)
    assert fresh.current() is not None
    assert fresh.lease.disagreement == ""


@pytest.mark.finding("H43")
def test_a_connection_compared_with_an_earlier_database_ends_nothing(leased: Leased) -> None:
    """While the connection says where it leads, the listener meets that very place."""
    fresh, _, clock = leased
    fresh.current()
    fresh.lease.switch_database(HERE)
    clock[0] += 1

    def moves() -> None:
        fresh.lease.switch_database(THERE)
        fresh.lease.renew(since=clock[0] + 1)

    announce_connection(THERE, meanwhile=moves)
    assert (fresh.lease.disagreement, fresh.lease.until) == ("", clock[0] + 1 + SECONDS)
    assert fresh.current() is None  # this one was compared with the other place


@pytest.mark.finding("H43")
def test_a_thread_makes_its_connection_anew_until_it_leads_to_the_right_place(
    leased: Leased, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh, _, _ = leased
    closed: list[str] = []
    monkeypatch.setattr(fresh._thread.connection, "close", lambda: closed.append("it"))
    fresh.current()
    assert closed == []
    fresh.lease.switch_database(HERE)
    for _ in range(2):
        fresh.current()
    assert closed == ["it"]
    announce_connection(THERE)
    fresh.current()
    assert closed == ["it"] * 2


@pytest.mark.finding("H43")
def test_a_disagreement_is_told_once(leased: Leased, caplog: pytest.LogCaptureFixture) -> None:
    fresh, _, _ = leased
    fresh.current()
    fresh.lease.switch_database(HERE)
    for _ in range(3):
        announce_connection(THERE)
    assert caplog.text.count("lead to different servers") == 1


@pytest.mark.finding("H43")
def test_a_connection_made_before_anything_is_met_counts_for_that(leased: Leased) -> None:
    fresh, _, _ = leased
    fresh._ensure_listening()
    announce_connection(HERE)
    fresh.lease.renew(since=1000.0)
    assert fresh.current() is not None


@pytest.mark.finding("H43")
def test_a_connection_that_does_not_say_where_it_leads_is_none(leased: Leased) -> None:
    fresh, _, clock = leased
    fresh.current()
    fresh.lease.switch_database(HERE)
    with pytest.raises(OperationalError):
        announce_connection(OperationalError())
    clock[0] += 1
    fresh.lease.renew(since=clock[0])
    assert fresh.current() is None
