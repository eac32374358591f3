"""The connection that is made from time to time, beside the listener, to see where new ones lead."""

import threading
from threading import Event
from threading import enumerate as running
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest

from credentials.verified_cache import probe
from credentials.verified_cache.cache import VerifiedCache
from credentials.verified_cache.connections import request_parameters
from credentials.verified_cache.database_identity import DatabaseIdentity, ListenerDatabase
from credentials.verified_cache.lease import Lease
from tests.proxy import proxy_to
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.finding("H43")
NO_CONNECTION = "no new connection to the database can be made: "


class Line:
    """A database to which connections are made when the test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = Event()
        self.fails = False
        self.connection = Mock(spec=psycopg.Connection)

    def connect(self, **given: Any) -> Any:
        """Wait, and give a connection."""
        self.asked += 1
        assert self.answers.wait(DEADLINE)
        if self.fails:
            raise psycopg.OperationalError
        return self.connection


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    made = Line()
    monkeypatch.setattr(psycopg, "connect", made.connect)
    monkeypatch.setattr(probe, "request_parameters", dict)
    return made


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ListenerDatabase]]:
    """What was compared with what."""
    made: list[tuple[Any, ListenerDatabase]] = []
    monkeypatch.setattr(Lease, "compare", lambda self, raw, heard: made.append((raw, heard)))
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: now[0])
    return now


def wait_until_it_has_looked() -> None:
    wait_until(lambda: not [thread for thread in running() if thread.name == "keyportal-probe"])


def test_it_looks_when_it_is_time_and_not_twice_at_once(
    line: Line, compared: list[tuple[Any, ListenerDatabase]], clock: list[float]
) -> None:
    lease = Lease(VerifiedCache())
    looks = probe.Probe(lease)
    looks.begin_when_due()
    assert line.asked == 0
    clock[0] += probe.PAUSE
    for _ in range(3):
        looks.begin_when_due()
    wait_until(lambda: line.asked)
    line.answers.set()
    wait_until_it_has_looked()
    looks.begin_when_due()
    assert (line.asked, compared) == (1, [(line.connection, lease.database)])
    line.connection.close.assert_called_once_with()
    clock[0] += probe.PAUSE
    looks.begin_when_due()
    wait_until_it_has_looked()
    assert line.asked == 2


def test_what_is_met_while_it_connects_is_not_what_it_compares_with(
    line: Line, compared: list[tuple[Any, ListenerDatabase]], clock: list[float]
) -> None:
    lease = Lease(VerifiedCache())
    looks, met = probe.Probe(lease), lease.database
    clock[0] += probe.PAUSE
    looks.begin_when_due()
    wait_until(lambda: line.asked)
    lease.switch_database()
    line.answers.set()
    wait_until_it_has_looked()
    ((_, with_what),) = compared
    assert with_what is met


def test_a_probe_that_cannot_connect_says_so_and_looks_again(
    line: Line, compared: list[tuple[Any, ListenerDatabase]], clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    looks = probe.Probe(Lease(VerifiedCache()))
    line.fails = True
    line.answers.set()
    for _ in range(2):
        clock[0] += probe.PAUSE
        looks.begin_when_due()
        wait_until_it_has_looked()
    assert (line.asked, compared) == (2, [])
    assert [message.startswith(NO_CONNECTION) for message in caplog.messages] == [True] * 2


@pytest.mark.second
@pytest.mark.django_db
def test_a_probe_without_an_answer_gives_up_and_looks_again(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """Something on the way makes connections, and swallows what is asked over them."""
    way = request_parameters()
    lease = Lease(VerifiedCache())
    looks = probe.Probe(lease)
    lease.switch_database(DatabaseIdentity("another", 0, ()))
    with proxy_to(int(way["port"])) as proxy:
        proxy.deaf_to = b"pg_postmaster_start_time"
        monkeypatch.setattr(probe, "request_parameters", lambda: way | {"port": proxy.port})
        monkeypatch.setattr(probe, "ANSWER_WITHIN", 0.1)
        for _ in range(2):
            clock[0] += probe.PAUSE
            looks.begin_when_due()
            wait_until_it_has_looked()
    assert [message.startswith(NO_CONNECTION) for message in caplog.messages] == [True] * 2


def test_a_probe_without_a_thread_says_so_and_looks_again(
    line: Line,
    compared: list[tuple[Any, ListenerDatabase]],
    clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks = probe.Probe(Lease(VerifiedCache()))
    line.answers.set()
    clock[0] += probe.PAUSE
    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError("can't start new thread")))
        looks.begin_when_due()
        looks.begin_when_due()  # not at once
    assert caplog.messages == ["no thread can be started to make a new connection to the database"]
    clock[0] += probe.PAUSE
    looks.begin_when_due()
    wait_until_it_has_looked()
    assert line.asked == 1
