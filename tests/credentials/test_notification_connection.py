"""Notifications and queries over one connection at once, against PostgreSQL."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from credentials.verified_cache.connections import request_parameters
from credentials.verified_cache.notification_connection import NotificationConnection, WaitResult, read_row
from tests.proxy import proxy_to
from tests.waiting import DEADLINE, wait_until

pytestmark = [pytest.mark.second, pytest.mark.django_db, pytest.mark.finding("H14")]

Line = psycopg.Connection[Any]
OWN_CODE = "DO $$BEGIN RAISE 'pLaNtEd' USING ERRCODE = '{}'; END$$"
"""An error that a function of the database raises, with a code that psycopg doesn't know."""


@pytest.fixture
def line() -> Iterator[Line]:
    """A connection that listens."""
    with psycopg.connect(**request_parameters(), autocommit=True) as made:
        made.execute("LISTEN of_a_test")
        yield made


def execute(statement: str, *values: object) -> None:
    """Run a statement over another connection."""
    with psycopg.connect(**request_parameters(), autocommit=True) as other:
        other.execute(statement, values)


def notify(payload: str) -> None:
    """Send a notification over another connection."""
    execute("SELECT pg_notify('of_a_test', %s)", payload)


def receive_until(connection: NotificationConnection, *payloads: str, answered: bool = False) -> list[WaitResult]:
    """Receive until these have come, and the answer if one is awaited; return what came, in its order."""
    everything: list[WaitResult] = []

    def everything_has_come() -> bool:
        everything.append(connection.receive(timeout=0.1))
        payloads_so_far = {notification.payload for received in everything for notification in received.notifications}
        return payloads_so_far >= set(payloads) and any(received.result for received in everything) is answered

    wait_until(everything_has_come)
    return [received for received in everything if received != (None, [])]


def test_notifications_arrive_while_no_query_runs(line: Line) -> None:
    connection = NotificationConnection(line)
    assert connection.receive(timeout=0) == (None, [])
    notify("ü")
    ((answer, (notification,)),) = receive_until(connection, "ü")
    assert (answer, notification.channel, notification.payload) == (None, "of_a_test", "ü")


def test_an_answer_comes_no_later_than_notifications_from_after_its_query(line: Line) -> None:
    connection = NotificationConnection(line)
    for n in range(20):
        connection.send_query("SELECT pg_notify('of_a_test', $1), $2", str(n), "said")
        assert connection.is_query_running
        everything = receive_until(connection, str(n), answered=True)
        assert not connection.is_query_running
        answered = next(turn for turn, received in enumerate(everything) if received.result is not None)
        notified = next(turn for turn, received in enumerate(everything) if received.notifications)
        assert answered <= notified
        answer = everything[answered].result
        assert answer is not None
        assert read_row(answer) == ["", "said"]


def test_a_notification_from_after_a_query_waits_for_the_whole_answer() -> None:
    """The last bytes of an answer, by which PostgreSQL is ready for the next question, are slow to come."""
    way = request_parameters()
    with proxy_to(int(way["port"])) as proxy, psycopg.connect(**way | {"port": proxy.port}, autocommit=True) as slow:
        slow.execute("LISTEN of_a_test")
        (line,), connection = proxy.lines, NotificationConnection(slow)
        line.kept_back = len(b"Z\0\0\0\5I")
        line.answers.clear()
        connection.send_query("SELECT pg_notify('of_a_test', $1)", "after")
        assert connection.receive(timeout=DEADLINE) == (None, [])
        line.answers.set()
        (received,) = receive_until(connection, "after", answered=True)
        assert received.result is not None


def test_a_notification_during_a_query_of_psycopgs_arrives_once(line: Line) -> None:
    connection = NotificationConnection(line)
    notify("meanwhile")
    assert line.execute("SELECT 1").fetchone() == (1,)
    everything = receive_until(connection, "meanwhile")
    notify("after")
    everything += receive_until(connection, "after")
    assert [notification.payload for received in everything for notification in received.notifications] == [
        "meanwhile",
        "after",
    ]


def test_a_long_query_is_sent_whole(line: Line) -> None:
    connection = NotificationConnection(line)
    connection.send_query("SELECT length($1)", "x" * 20_000_000)
    answer = receive_until(connection, answered=True)[-1].result
    assert answer is not None
    assert read_row(answer) == ["20000000"]


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ("SELECT * FROM nowhere", psycopg.errors.UndefinedTable),
        ("SELECT 1 / $1::int", psycopg.errors.DivisionByZero),
        ("SELECT $1::int", psycopg.errors.InvalidTextRepresentation),
        (OWN_CODE.format("22KP1"), psycopg.DataError),
        (OWN_CODE.format("KP001"), psycopg.DatabaseError),
    ],
)
def test_a_query_that_fails_raises_its_error_and_the_next_is_answered(
    line: Line, question: str, error: type[psycopg.Error]
) -> None:
    connection = NotificationConnection(line)
    connection.send_query(
        question, *(["pLaNtEd" if error is psycopg.errors.InvalidTextRepresentation else "0"] * ("$1" in question))
    )
    answer = receive_until(connection, answered=True)[-1].result
    assert answer is not None
    with pytest.raises(error) as caught:
        read_row(answer)
    assert "pLaNtEd" not in str(caught.value)
    connection.send_query("SELECT NULL::text, $1", "1")
    answer = receive_until(connection, answered=True)[-1].result
    assert answer is not None
    assert read_row(answer) == [None, "1"]


def test_a_connection_that_breaks_is_told(line: Line) -> None:
    connection = NotificationConnection(line)
    execute("SELECT pg_terminate_backend(%s)", line.info.backend_pid)
    with pytest.raises(psycopg.OperationalError):
        receive_until(connection, "never")
