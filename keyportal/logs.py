"""Logs: one line an event, JSON in production, readable locally, each with the request's id, none with a secret."""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from keyportal.quiet_errors import QUIET, format_quietly, in_short

request_id: ContextVar[str] = ContextVar("request_id", default="-")
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode


class RequestFilter(logging.Filter):
    """Puts the request id on every record, and the route in place of the path that a client wrote.

    A path can hold anything: a key pasted into the address bar, the token of a confirmation link. An error of a service
    is named without its text, which may quote a setting.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Amend the record; every record passes."""
        record.request_id = request_id.get()
        request = getattr(record, "request", None)
        path = getattr(request, "path", None)
        if path is not None and isinstance(record.args, tuple):
            shown = route(request)
            record.args = tuple(shown if arg == path else arg for arg in record.args)
        if isinstance(record.args, tuple):
            record.args = tuple(in_short(arg) if isinstance(arg, QUIET) else arg for arg in record.args)
        return True


class TextFormatter(logging.Formatter):
    """Lines for people; tracebacks without the texts of services' errors."""

    def formatException(self, exc_info: Any) -> str:  # noqa: N802  # logging's name
        """Return the traceback."""
        return format_quietly(exc_info[1]) if exc_info[1] else ""


class JSONFormatter(TextFormatter):
    """One JSON object a line: time (UTC), level, logger, request id, message; the traceback where there is one.

    Every request writes a line, and a library's formatter takes three times as long as these lines.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": getattr(record, "request_id", "-"),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exc_info"] = self.formatException(record.exc_info)
        return _encode(line)


def route(request: Any) -> str:
    """Give the pattern that a request's path matched, or `(no route)`: what may stand in a log."""
    match = getattr(request, "resolver_match", None)
    return f"/{match.route}" if match else "(no route)"


def logging_config(style: str) -> dict[str, Any]:
    """Give Django's LOGGING for `json` or `text`."""
    # No line shows where it was written nor by which thread: not finding out makes every line cheaper (logging HOWTO,
    # “Optimization”).
    logging._srcfile = None
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    fields = "%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request": {"()": "keyportal.logs.RequestFilter"}},
        "formatters": {
            "text": {"()": "keyportal.logs.TextFormatter", "format": fields},
            "json": {"()": "keyportal.logs.JSONFormatter"},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": style, "filters": ["request"]}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # Django would add a console of its own, and mail tracebacks; 4xx are in the access line already.
            "django": {"handlers": [], "propagate": True},
            "django.request": {"level": "ERROR"},
            # It would repeat the Host header, and people paste secrets everywhere. The access line tells of the 400.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            # It would repeat Origin and Referer, with path and query.
            "django.security.csrf": {"level": "CRITICAL"},
        },
    }
