"""Wait until this process has applied what one of its threads has just committed."""

import logging
import secrets
import threading
from typing import Final

from django.db import DatabaseError, connections

logger = logging.getLogger(__name__)

APPLIED_WITHIN: Final = 0.25
"""Seconds that a response may wait for its change to be applied."""


class OwnCommits:
    """The threads that wait. Each sends a notification after its commit, and the listener tells when it is back."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._waiting: dict[str, threading.Event] = {}
        """By the payload that each thread sent."""

    def wait_until_applied(self) -> bool:
        """Send a notification after all commits of this thread; return whether it came back in time."""
        payload, applied = secrets.token_hex(8), threading.Event()
        self._waiting[payload] = applied
        try:
            with connections["default"].cursor() as cursor:
                cursor.execute("SELECT pg_notify(%s, %s)", [self._channel, payload])
            return applied.wait(APPLIED_WITHIN)
        except DatabaseError:
            # The change itself is committed; only the wait for it is cut short.
            logger.warning("could not wait until a change was applied")
            return False
        finally:
            del self._waiting[payload]

    def on_notification(self, payload: str) -> None:
        """Wake the thread that sent this, if any did."""
        applied = self._waiting.get(payload)
        if applied is not None:
            applied.set()
