"""Hearing and asking over one connection at once, against PostgreSQL."""

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
"""An error as somebody's own function raises it, with a code that psycopg doesn't know."""


@pytest.fixture
def line() -> Iterator[Line]:
    """A connection that listens."""
    with psycopg.connect(**request_parameters(), autocommit=True) as made:
        made.execute("LISTEN of_a_test")
        yield made


def do(statement: str, *values: object) -> None:
    """Run a statement over another connection."""
    with psycopg.connect(**request_parameters(), autocommit=True) as other:
        other.execute(statement, values)


def tell(payload: str) -> None:
    do("SELECT pg_notify('of_a_test', %s)", payload)


def heard_until(receiver: NotificationConnection, *payloads: str, answered: bool = False) -> list[WaitResult]:
    """Hear until these have come, and the answer if one is awaited; return what came, as it came."""
    brought: list[WaitResult] = []

    def all_has_come() -> bool:
        brought.append(receiver.receive(timeout=0.1))
        told = {notice.payload for heard in brought for notice in heard.notifications}
        return told >= set(payloads) and any(heard.result for heard in brought) is answered

    wait_until(all_has_come)
    return [heard for heard in brought if heard != (None, [])]


def test_notices_are_heard_while_nothing_is_asked(line: Line) -> None:
    receiver = NotificationConnection(line)
    assert receiver.receive(timeout=0) == (None, [])
    tell("ü")
    ((answer, (notice,)),) = heard_until(receiver, "ü")
    assert (answer, notice.channel, notice.payload) == (None, "of_a_test", "ü")


def test_an_answer_comes_with_or_before_what_was_told_after_its_question(line: Line) -> None:
    receiver = NotificationConnection(line)
    for n in range(20):
        receiver.send_query("SELECT pg_notify('of_a_test', $1), $2", str(n), "said")
        assert receiver.is_query_running
        brought = heard_until(receiver, str(n), answered=True)
        assert not receiver.is_query_running
        answered = next(turn for turn, heard in enumerate(brought) if heard.result is not None)
        told = next(turn for turn, heard in enumerate(brought) if heard.notifications)
        assert answered <= told
        answer = brought[answered].result
        assert answer is not None
        assert read_row(answer) == ["", "said"]


def test_what_was_told_after_a_question_waits_for_the_whole_answer() -> None:
    """The last bytes of an answer, by which PostgreSQL is ready for the next question, are slow to come."""
    way = request_parameters()
    with proxy_to(int(way["port"])) as proxy, psycopg.connect(**way | {"port": proxy.port}, autocommit=True) as slow:
        slow.execute("LISTEN of_a_test")
        (line,), receiver = proxy.lines, NotificationConnection(slow)
        line.kept_back = len(b"Z\0\0\0\5I")
        line.answers.clear()
        receiver.send_query("SELECT pg_notify('of_a_test', $1)", "told")
        assert receiver.receive(timeout=DEADLINE) == (None, [])
        line.answers.set()
        (heard,) = heard_until(receiver, "told", answered=True)
        assert heard.result is not None


def test_what_comes_while_psycopg_asks_is_heard_once(line: Line) -> None:
    receiver = NotificationConnection(line)
    tell("meanwhile")
    assert line.execute("SELECT 1").fetchone() == (1,)
    brought = heard_until(receiver, "meanwhile")
    tell("after")
    brought += heard_until(receiver, "after")
    assert [notice.payload for heard in brought for notice in heard.notifications] == ["meanwhile", "after"]


def test_a_question_that_does_not_fit_into_the_line_is_sent_whole(line: Line) -> None:
    receiver = NotificationConnection(line)
    receiver.send_query("SELECT length($1)", "x" * 20_000_000)
    answer = heard_until(receiver, answered=True)[-1].result
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
def test_a_question_that_is_refused_tells_why_and_the_next_is_answered(
    line: Line, question: str, error: type[psycopg.Error]
) -> None:
    receiver = NotificationConnection(line)
    receiver.send_query(
        question, *(["pLaNtEd" if error is psycopg.errors.InvalidTextRepresentation else "0"] * ("$1" in question))
    )
    refused = heard_until(receiver, answered=True)[-1].result
    assert refused is not None
    with pytest.raises(error) as told:
        read_row(refused)
    assert "pLaNtEd" not in str(told.value)
    receiver.send_query("SELECT NULL::text, $1", "1")
    answer = heard_until(receiver, answered=True)[-1].result
    assert answer is not None
    assert read_row(answer) == [None, "1"]


def test_a_connection_that_breaks_is_told(line: Line) -> None:
    receiver = NotificationConnection(line)
    do("SELECT pg_terminate_backend(%s)", line.info.backend_pid)
    with pytest.raises(psycopg.OperationalError):
        heard_until(receiver, "never")
