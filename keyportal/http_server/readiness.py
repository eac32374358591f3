"""What a worker does before it listens: connect to the database, and start to hear of changes there.

Until then the other workers get all connections. One that listened from its birth would get a share of them, and let
verdicts wait for its first connection to the database, or say that it does not know of changes yet.
"""

import logging

from django.db import Error

from credentials.verified_cache.freshness import freshness
from integrity.key_check import RingMisfitError
from keyportal.http_server.threads import Threads

logger = logging.getLogger(__name__)


class Readiness:
    """Whether a worker can answer from what it knows. For the event loop alone."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._is_preparing = False
        self._has_failed = False

    def has_come(self) -> bool:
        """Return whether to listen now; a thread prepares it meanwhile. Where that fails, somebody has to say so."""
        if self._has_failed or freshness().is_known_current():
            return True
        if not self._is_preparing:
            self._is_preparing = self._threads.submit(_prepare, None, self._on_prepared)
        return False

    def _on_prepared(self, has_succeeded: bool | None) -> None:
        self._is_preparing = False
        self._has_failed = not has_succeeded


def _prepare(_: object) -> bool:
    """Connect this thread, and start the listener. Return False if the database can't be used."""
    try:
        freshness().current()
        freshness().confirm_rings()
    except (Error, RingMisfitError) as error:
        logger.warning("this worker listens although it can't use the database: %s", error)  # the log has its reason
        return False
    return True
