"""httpx's transport for threads, with a bound for a request as a whole.

httpx has one for each read, so that an answer whose head arrives byte by byte would hold its thread without end. It
does not let one choose httpcore's network, which is wrapped here all the same: the tests see whether that still works.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any, Final

import httpx

TOO_SLOW: Final = "too slow"


class _Deadline(threading.local):
    """When what this thread does must have ended."""

    at = inf

    def shorten(self, timeout: float | None) -> float | None:
        """Return a timeout that ends by then. Raises `httpx.ReadTimeout` if it is later."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpx.ReadTimeout(TOO_SLOW)
        return timeout if left == inf else left if timeout is None else min(timeout, left)


class BoundedTransport(httpx.HTTPTransport):
    """A transport whose requests end in time."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trust_env=False, **options)
        self._deadline = _Deadline()
        pool: Any = self._pool
        pool._network_backend = _Network(pool._network_backend, self._deadline)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Bound what this thread does in the block, all requests and reads together."""
        self._deadline.at = time.monotonic() + seconds
        try:
            yield
        finally:
            self._deadline.at = inf


class _Network:
    """httpcore's NetworkBackend."""

    def __init__(self, network: Any, deadline: _Deadline) -> None:
        self._network = network
        self._deadline = deadline

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **more: Any) -> "_Stream":
        """Connect."""
        stream = self._network.connect_tcp(host, port, timeout=self._deadline.shorten(timeout), **more)
        return _Stream(stream, self._deadline)


class _Stream:
    """httpcore's NetworkStream."""

    def __init__(self, stream: Any, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has arrived."""
        arrived: bytes = self._stream.read(max_bytes, timeout=self._deadline.shorten(timeout))
        return arrived

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send."""
        self._stream.write(buffer, timeout=self._deadline.shorten(timeout))

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        """Encrypt from here on."""
        timeout = self._deadline.shorten(timeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._deadline)

    def close(self) -> None:
        """Close."""
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks of a stream."""
        return self._stream.get_extra_info(info)
