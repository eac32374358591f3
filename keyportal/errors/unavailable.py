"""What the log says of requests that get 503 because something that the portal needs is away."""

import logging
from contextvars import ContextVar
from typing import Final

from credentials.runtime.quiet import Quiet
from keyportal.errors.redacted_errors import in_short
from keyportal.logs import request_id

logger = logging.getLogger(__name__)

_said: Final[ContextVar[str]] = ContextVar("said", default="")
"""The last reason that was logged, with its request."""
_quiet: Final = Quiet()


def log_unavailable(error: BaseException) -> None:
    """Log why a request gets 503, once for each: its page may fail for the same reason again."""
    said = f"{request_id.get()} {in_short(error)}"
    if request_id.get() == "-" or _said.get() != said:
        _said.set(said)
        logger.error("unavailable: %s", in_short(error), exc_info=error)


def log_unknown_changes() -> None:
    """Log that verifiers can't be told what has changed, once a minute."""
    if _quiet.is_due("changes"):
        logger.warning("verifiers get 503: this worker does not know of all changes yet")
