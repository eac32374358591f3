"""Reasons of outages in plain words: from the code or the text of an error, and never a part of that text."""

import errno
import logging
import smtplib
import socket
import sqlite3
from collections.abc import Iterator

import psycopg
import pytest
from django.db import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from credentials.runtime import quiet
from credentials.runtime.quiet import Quiet
from integrity.key_check import RingMisfitError
from keyportal.errors.redacted_errors import in_short, reason_of
from keyportal.logs import JSONFormatter, RequestFilter, TextFormatter, logging_config
from tests.portal import ROOT

pytestmark = [pytest.mark.once, pytest.mark.finding("H50")]

PLANTED = "planted-user-planted-password"


def caused(cause: Exception) -> OperationalError:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (psycopg.OperationalError(f'connection failed: FATAL:  password authentication failed for user "{PLANTED}"'),
         "it refuses the log-in"),
        (psycopg.OperationalError(f'FATAL:  role "{PLANTED}" does not exist'), "it refuses the log-in"),
        (psycopg.OperationalError(f'FATAL:  database "{PLANTED}" does not exist'), "there is no such database"),
        (psycopg.OperationalError("FATAL:  sorry, too many clients already"), "it has too many connections"),
        (psycopg.OperationalError(f"connection to server at {PLANTED} failed: Connection refused"),
         "nothing listens there: connection refused"),
        (psycopg.errors.ConnectionTimeout("connection timeout expired"), "no answer in time"),
        (psycopg.OperationalError("FATAL:  the database system is starting up"),
         "it is starting, stopping or was restarted"),
        (psycopg.OperationalError("server closed the connection unexpectedly"), "the connection was lost"),
        (psycopg.errors.DiskFull(PLANTED), "SQLSTATE 53100: the disk is full"),
        (psycopg.errors.AdminShutdown(PLANTED), "SQLSTATE 57P01: it is starting, stopping or was restarted"),
        (psycopg.errors.DivisionByZero(PLANTED), "SQLSTATE 22012"),
        (RedisConnectionError(f"Error 111 connecting to {PLANTED}:6379. Connection refused."),
         "nothing listens there: connection refused"),
        (RedisError("WRONGPASS invalid username-password pair"), "it refuses the log-in"),
        (smtplib.SMTPAuthenticationError(535, PLANTED.encode()), "SMTP 535"),
        (ConnectionRefusedError(errno.ECONNREFUSED, PLANTED), "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "its host name is unknown"),
        (TimeoutError("timed out"), "no answer in time"),
        (RingMisfitError("the sealing ring lacks the key 's1'"), "the sealing ring lacks the key 's1'"),
        (RedisError(PLANTED), "redis.exceptions.RedisError"),
    ],
)  # fmt: skip
def test_the_reason_is_in_words_and_quotes_nothing(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason
    assert PLANTED not in in_short(error)
    assert not isinstance(error, psycopg.Error) or reason_of(caused(error)) == reason


def test_sqlite_says_its_own_name_and_words() -> None:
    with pytest.raises(sqlite3.DatabaseError) as caught:
        sqlite3.connect(ROOT / "Makefile").execute("SELECT * FROM sqlite_master")
    assert reason_of(caught.value) == "SQLITE_NOTADB: the file is no database"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[logging.Handler]:
    """The handler of the settings, with a filter that has logged nothing yet."""
    handler = logging.Handler()
    handler.addFilter(RequestFilter())
    yield handler
    handler.close()


def lines(handler: logging.Handler, formatter: logging.Formatter, error: Exception, times: int = 3) -> list[str]:
    """Return what an error gives each time that it is logged."""
    found = []
    for _ in range(times):
        try:
            raise error
        except type(error) as raised:
            info = (type(raised), raised, raised.__traceback__)
        log_record = logging.LogRecord("keyportal.x", logging.ERROR, "", 0, "a request failed", (), info)
        assert handler.filter(log_record)
        found.append(formatter.format(log_record))
    return found


@pytest.mark.parametrize("formatter", [TextFormatter("%(message)s"), JSONFormatter()])
def test_each_line_has_its_reason_and_the_first_of_a_minute_its_traceback(
    log: logging.Handler, formatter: logging.Formatter, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = psycopg.errors.DiskFull(PLANTED)
    first, *others = lines(log, formatter, error)
    assert "Traceback" in first
    for line in (first, *others):
        assert "a request failed: psycopg.errors.DiskFull (SQLSTATE 53100: the disk is full)" in line
        assert PLANTED not in line
    assert not any("Traceback" in line or "\n" in line for line in others)
    assert "Traceback" in lines(log, formatter, ValueError("of another kind"))[0]
    later = quiet.now() + quiet.EVERY
    monkeypatch.setattr(quiet, "now", lambda: later)
    assert "Traceback" in lines(log, formatter, error)[0]


def test_django_adds_no_line_to_a_503() -> None:
    """Whatever made it one has said why, with the request id."""
    filters = logging_config("json")["loggers"]["django.request"]["filters"]
    assert filters == ["with_reason"]


def test_what_is_quiet_says_each_kind_once() -> None:
    say = Quiet()
    assert [say.is_due(kind) for kind in ("a", "a", "b", "a")] == [True, False, True, False]
