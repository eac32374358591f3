"""Who asks over a connection again and again: looked up once a second, judged at every question."""

import hashlib
import os
from typing import Final

from credentials import clock
from credentials.client_address import Address
from credentials.freshness import freshness
from credentials.refusals import RefusedError
from gateway.verdict import Record, judge

SECONDS: Final = 1.0
"""After which the credential is looked up anew, so that this adds next to nothing to the age of what memory holds."""
_KEY: Final = os.urandom(32)


class Acquaintance:
    """What the event loop knows of the service that asked last over a connection.

    It holds a digest of what was sent, under a key that this process alone has: no secret, and no verdict.
    """

    __slots__ = ("_generation", "_mark", "_record", "_until")

    def __init__(self) -> None:
        self._record: Record | None = None
        self._mark = b""
        self._generation = 0
        self._until = 0.0

    def recalled(self, header: str, address: Address | None) -> Record | None:
        """Return the record of what this header holds if it is what was sent before, is current, and is good now.

        None if it has to be looked up: that also tells why it is refused.
        """
        record = self._record
        if record is None or not freshness.glance():
            return None
        cache = freshness.cache
        if self._generation != cache.generation or self._until <= clock.now() or self._mark != _mark_of(header):
            return None
        try:
            judge(record, address=address)
        except RefusedError:
            self._record = None
            return None
        cache.count_hit()
        return record

    def meet(self, header: str, record: Record, *, generation: int) -> None:
        """Keep what memory held for this header in a generation of the cache that was read before."""
        self._record, self._mark = record, _mark_of(header)
        self._generation, self._until = generation, clock.now() + SECONDS


def _mark_of(header: str) -> bytes:
    return hashlib.blake2b(header.encode("latin-1"), key=_KEY).digest()
