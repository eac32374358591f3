"""Errors of the services that settings name, without their texts.

libpq, SMTP servers and OpenSSL quote what they can't parse: an address, a user, a part of an option. None of it belongs
in a log or on a terminal (decision 16). What is left shows where to look: class, SQLSTATE or other code, frames.
"""

import os
import smtplib
import sqlite3
import ssl
import sys
import traceback
from collections.abc import Iterator
from typing import Final

import psycopg
from django.db import Error as DjangoDatabaseError
from redis.exceptions import RedisError

from credentials.verdict_query.query_timeout import QueryTimeout
from keyportal.errors.plain_reasons import in_words
from vault.errors import VaultError

DATABASE: Final = (DjangoDatabaseError, psycopg.Error, sqlite3.Error)
QUIET: Final = (*DATABASE, RedisError, smtplib.SMTPException, ssl.SSLError)
_CAUSED: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"


def in_short(error: BaseException) -> str:
    """Return the class of an error with its SQLSTATE, another code or plain words for its cause, without its text."""
    kind = type(error)
    named = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return " ".join([named, *(f"({reason})" for reason in _reasons(error)[:1])])


def reason_of(error: BaseException) -> str:
    """Return why a service could not be used: its code and plain words where they are known, else the error's class."""
    return next(iter(_reasons(error)), in_short(error))


def format_redacted(error: BaseException) -> str:
    """Return a traceback as Python formats it, without the texts of services' errors."""
    return "".join(reversed(list(_parts(error)))).rstrip("\n")


def _reasons(error: BaseException) -> list[str]:
    return list(filter(None, map(_reason, (error, error.__cause__))))


def _reason(error: BaseException | None) -> str:
    if isinstance(error, QueryTimeout):
        return str(error)
    if isinstance(error, psycopg.Error | sqlite3.Error):
        state = f"SQLSTATE {error.sqlstate}" if isinstance(error, psycopg.Error) and error.sqlstate else ""
        return ": ".join(filter(None, (state or getattr(error, "sqlite_errorname", ""), in_words(error))))
    if isinstance(error, smtplib.SMTPResponseException):
        return f"SMTP {error.smtp_code}"
    if isinstance(error, ssl.SSLError):
        return getattr(error, "reason", None) or ""
    if isinstance(error, VaultError):
        return str(error)  # it names rings and ids, and no value
    if isinstance(error, OSError) and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0).lower()
    return in_words(error) if isinstance(error, OSError | RedisError) else ""


def print_redacted(kind: type[BaseException], error: BaseException, frames: object) -> None:
    """Write a traceback to standard error, as `sys.excepthook`."""
    sys.stderr.write(f"{format_redacted(error)}\n")


def _parts(error: BaseException) -> Iterator[str]:
    seen = set[int]()
    shown: BaseException | None = error
    while shown is not None:
        seen.add(id(shown))
        lines = [in_short(shown), "\n"] if isinstance(shown, QUIET) else traceback.format_exception_only(shown)
        yield "".join(["Traceback (most recent call last):\n", *traceback.format_tb(shown.__traceback__), *lines])
        before = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
        if before is None or id(before) in seen:
            return
        yield _CAUSED if shown.__cause__ else _DURING
        shown = before
