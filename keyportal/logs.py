"""Logging: one line per event, JSON in production, text locally, each with the request id, none with a secret."""

import json
import logging
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from typing_extensions import override

from credentials.runtime.quiet import Quiet
from keyportal.errors.redacted_errors import QUIET, format_redacted, in_short

request_id: ContextVar[str] = ContextVar("request_id", default="-")
SHORT: Final = (*QUIET, OSError)
"""Errors whose text may quote a setting or name a file."""
VIOLATION: Final = "integrity_violation"
"""How lines begin that say that a row is not as the portal wrote it."""
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode


class LineCounts:
    """How many lines this process has logged that an operator should know of."""

    def __init__(self) -> None:
        self.levels = {"warning": 0, "error": 0}
        self.integrity_violations = 0
        self._lock = threading.Lock()

    def add(self, log_record: logging.LogRecord) -> None:
        """Count a line, if it is a warning or worse."""
        if log_record.levelno >= logging.WARNING:
            with self._lock:
                self.levels["error" if log_record.levelno >= logging.ERROR else "warning"] += 1
                self.integrity_violations += str(log_record.msg).startswith(VIOLATION)


line_counts: Final = LineCounts()
"""The counts of this process. What its parent logged before the fork is counted by no worker but the first."""


class RequestFilter(logging.Filter):
    """Add the request id to every record, and replace the path that a client sent by its route.

    A path can contain anything: a key pasted into the address bar, the token of a confirmation link. An error of
    another service is logged without its text, which may quote a setting. A line names the reason itself, and a
    traceback of the same kind comes once a minute at most: during an outage there is one for each request.
    """

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self._tracebacks = Quiet()

    @override
    def filter(self, log_record: logging.LogRecord) -> bool:
        """Amend the record, and count it. Return True, because every record passes."""
        line_counts.add(log_record)
        log_record.request_id = request_id.get()
        request = getattr(log_record, "request", None)
        path = getattr(request, "path", None)
        if path is not None and isinstance(log_record.args, tuple):
            escaped = path.encode("unicode_escape").decode("ascii")  # as Django's `log_response` writes it
            shown = route(request)
            log_record.args = tuple(shown if arg in (path, escaped) else arg for arg in log_record.args)
        if isinstance(log_record.args, tuple):
            log_record.args = tuple(in_short(arg) if isinstance(arg, SHORT) else arg for arg in log_record.args)
        if log_record.exc_info and log_record.exc_info[1] is not None:
            self._shorten(log_record, log_record.exc_info[1])
        return True

    def _shorten(self, log_record: logging.LogRecord, error: BaseException) -> None:
        """Put the reason into the line, and leave the traceback out if one of its kind was logged a moment ago."""
        message, reason = log_record.getMessage(), in_short(error)
        log_record.msg, log_record.args = (message if reason in message else f"{message}: {reason}"), ()
        if not self._tracebacks.is_due(f"{log_record.name} {message.partition(':')[0]} {_kind(error)}"):
            log_record.exc_info = log_record.exc_text = None


class WithReasonFilter(logging.Filter):
    """Drop Django's line about a 503: what made it one has logged the reason, with the request id."""

    @override
    def filter(self, log_record: logging.LogRecord) -> bool:
        """Return whether the record passes."""
        return getattr(log_record, "status_code", None) != HTTPStatus.SERVICE_UNAVAILABLE


def _kind(error: BaseException) -> str:
    """Return the class of an error with where it was raised."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    raised_at = f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last else ""
    return f"{type(error).__qualname__} {raised_at}"


class TextFormatter(logging.Formatter):
    """Lines for people. Tracebacks leave out the texts of other services' errors."""

    @override
    def formatException(self, exc_info: Any) -> str:  # logging's name
        return format_redacted(exc_info[1]) if exc_info[1] else ""


class JSONFormatter(TextFormatter):
    """One JSON object per line: time (UTC), level, logger, request id, message, and the traceback if there is one.

    Written by hand, because every request logs a line and a library's formatter takes three times as long.
    """

    @override
    def format(self, log_record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(log_record.created, UTC).isoformat(timespec="milliseconds"),
            "level": log_record.levelname,
            "logger": log_record.name,
            "request_id": getattr(log_record, "request_id", "-"),
            "message": log_record.getMessage(),
        }
        if log_record.exc_info:
            line["exc_info"] = self.formatException(log_record.exc_info)
        return _encode(line)


def route(request: Any) -> str:
    """Return the pattern that a request's path matched, or `(no route)`. It is safe to log."""
    match = getattr(request, "resolver_match", None)
    return f"/{match.route}" if match else "(no route)"


def logging_config(style: str) -> dict[str, Any]:
    """Return Django's LOGGING for `json` or `text`."""
    # No line shows the caller or thread, and not looking them up makes logging faster (logging HOWTO, “Optimization”).
    logging._srcfile = None
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    fields = "%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request": {"()": "keyportal.logs.RequestFilter"},
            "with_reason": {"()": "keyportal.logs.WithReasonFilter"},
        },
        "formatters": {
            "text": {"()": "keyportal.logs.TextFormatter", "format": fields},
            "json": {"()": "keyportal.logs.JSONFormatter"},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": style, "filters": ["request"]}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # Django would add its own console and mail tracebacks; the access line already has the 4xx.
            "django": {"handlers": [], "propagate": True},
            "django.request": {"level": "ERROR", "filters": ["with_reason"]},
            # It would repeat the Host header, which may hold a pasted secret. The access line has the 400.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            # It would repeat Origin and Referer, with path and query.
            "django.security.csrf": {"level": "CRITICAL"},
        },
    }
