"""Cache the service behind a connection: its record is looked up once a second and checked at every request."""

import hashlib
import os
from datetime import UTC, datetime
from typing import Final

from audit.client_address import Address
from credentials.record import VerifiedRecord, check_state
from credentials.refusals import RefusedError
from credentials.verified_cache import clock
from credentials.verified_cache.freshness import freshness

SECONDS: Final = 1.0
"""Seconds after which the credential is looked up again. Short, so that this adds almost nothing to a record's age."""
_KEY: Final = os.urandom(32)


class CallerCache:
    """What the event loop knows of the service that last sent a request over a connection.

    It holds no secret and no verdict, only a digest of the header under a key that exists in this process alone.
    """

    __slots__ = ("_digest", "_generation", "_record", "_until")

    def __init__(self) -> None:
        self._record: VerifiedRecord | None = None
        self._digest = b""
        self._generation = 0
        self._until = 0.0

    def get(self, header: str, address: Address | None) -> VerifiedRecord | None:
        """Return the record for this header if it is the header sent before, still current and acceptable now.

        None means that the header must be looked up, which also finds out why it is refused.
        """
        record, fresh = self._record, freshness()
        if record is None or not fresh.is_known_current():
            return None
        cache = fresh.cache
        if self._generation != cache.generation or self._until <= clock.now() or self._digest != _digest_of(header):
            return None
        try:
            check_state(record, at=datetime.now(UTC), address=address)
        except RefusedError:
            self._record = None
            return None
        cache.count_hit()
        return record

    def put(self, header: str, record: VerifiedRecord, *, generation: int) -> None:
        """Store the record for this header. `generation` is the cache's, read before the record was looked up."""
        self._record, self._digest = record, _digest_of(header)
        self._generation, self._until = generation, clock.now() + SECONDS


def _digest_of(header: str) -> bytes:
    return hashlib.blake2b(header.encode("latin-1"), key=_KEY).digest()
