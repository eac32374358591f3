"""Hearing and asking over one connection at once, against PostgreSQL."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from credentials.ear import Ear, Heard, row_of
from credentials.lines import way_of_requests
from tests.waiting import DEADLINE

pytestmark = [pytest.mark.second, pytest.mark.django_db, pytest.mark.finding("H14")]

Line = psycopg.Connection[Any]


@pytest.fixture
def line() -> Iterator[Line]:
    """A connection that listens."""
    with psycopg.connect(**way_of_requests(), autocommit=True) as made:
        made.execute("LISTEN of_a_test")
        yield made


def do(statement: str, *values: object) -> None:
    """Run a statement over another connection."""
    with psycopg.connect(**way_of_requests(), autocommit=True) as other:
        other.execute(statement, values)


def tell(payload: str) -> None:
    do("SELECT pg_notify('of_a_test', %s)", payload)


def heard_until(ear: Ear, *payloads: str, answered: bool = False) -> list[Heard]:
    """Hear until these have come, and the answer if one is awaited; return what each wait brought."""
    brought: list[Heard] = []
    missing = set(payloads)
    while missing or answered:
        brought.append(ear.hear(timeout=DEADLINE))
        assert brought[-1] != (None, []), f"{missing or 'no answer'} did not come"
        missing -= {notice.payload for notice in brought[-1].notices}
        answered = answered and brought[-1].answer is None
    return brought


def test_notices_are_heard_while_nothing_is_asked(line: Line) -> None:
    ear = Ear(line)
    assert ear.hear(timeout=0) == (None, [])
    tell("ü")
    ((answer, (notice,)),) = heard_until(ear, "ü")
    assert (answer, notice.channel, notice.payload) == (None, "of_a_test", "ü")


def test_an_answer_comes_with_or_before_what_was_told_after_its_question(line: Line) -> None:
    ear = Ear(line)
    for n in range(20):
        ear.ask("SELECT pg_notify('of_a_test', $1), $2", str(n), "said")
        assert ear.is_asking
        brought = heard_until(ear, str(n), answered=True)
        assert not ear.is_asking
        answered = next(turn for turn, heard in enumerate(brought) if heard.answer is not None)
        told = next(turn for turn, heard in enumerate(brought) if heard.notices)
        assert answered <= told
        answer = brought[answered].answer
        assert answer is not None
        assert row_of(answer) == ["", "said"]


def test_what_comes_while_psycopg_asks_is_heard_once(line: Line) -> None:
    ear = Ear(line)
    tell("meanwhile")
    assert line.execute("SELECT 1").fetchone() == (1,)
    brought = heard_until(ear, "meanwhile")
    tell("after")
    brought += heard_until(ear, "after")
    assert [notice.payload for heard in brought for notice in heard.notices] == ["meanwhile", "after"]


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ("SELECT * FROM nowhere", psycopg.errors.UndefinedTable),
        ("SELECT 1 / $1::int", psycopg.errors.DivisionByZero),
        ("SELECT $1::int", psycopg.errors.InvalidTextRepresentation),
    ],
)
def test_a_question_that_is_refused_tells_why_and_the_next_is_answered(
    line: Line, question: str, error: type[psycopg.Error]
) -> None:
    ear = Ear(line)
    ear.ask(question, *(["cAnArY" if error is psycopg.errors.InvalidTextRepresentation else "0"] * ("$1" in question)))
    refused = heard_until(ear, answered=True)[-1].answer
    assert refused is not None
    with pytest.raises(error) as told:
        row_of(refused)
    assert "cAnArY" not in str(told.value)
    ear.ask("SELECT NULL::text, $1", "1")
    answer = heard_until(ear, answered=True)[-1].answer
    assert answer is not None
    assert row_of(answer) == [None, "1"]


def test_a_connection_that_breaks_is_told(line: Line) -> None:
    ear = Ear(line)
    do("SELECT pg_terminate_backend(%s)", line.info.backend_pid)
    with pytest.raises(psycopg.OperationalError):
        heard_until(ear, "never")
