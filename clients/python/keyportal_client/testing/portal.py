"""A portal in memory, as tests see it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

import httpx

from keyportal_client.address import PortalAddress
from keyportal_client.testing.answering import SCOPE, answer
from keyportal_client.testing.api_key import ApiKey
from keyportal_client.testing.records import SentRecord, new_record
from keyportal_client.testing.secret import new_secret
from keyportal_client.testing.state import State
from keyportal_client.testing.verifiers import Verifiers

Failure = Callable[[httpx.Request], Exception]


class InMemoryPortal:
    """A portal that answers the verifiers of this process. Thread-safe."""

    def __init__(self, url: str, key: str, verifiers: Verifiers) -> None:
        self.url: Final = str(PortalAddress.parse(url))
        """Its address, which nothing listens at."""
        self.key: Final = key
        """The secret of the service's own key, which may check credentials."""
        self.state: Final = State(self.url)
        """What it knows, for tests of this package."""
        self.state.on_change = verifiers.poll
        self.state.put(key, _record_of_service())
        self._own = httpx.URL(self.url)
        self._verifiers = verifiers
        self._failure: Failure | None = None

    def __repr__(self) -> str:
        return f"<InMemoryPortal at {self.url}>"

    def api_key(
        self,
        scopes: Collection[str] = (),
        *,
        environment: str = "live",
        networks: Collection[str] = (),
        expires_at: datetime | timedelta | None = None,
        name: str = "a key",
    ) -> ApiKey:
        """Create a key. `expires_at` is a moment, or how far it is from now. Raises ValueError."""
        ends = self.state.now + expires_at if isinstance(expires_at, timedelta) else expires_at
        secret = new_secret(environment)
        record = new_record(name=name, scopes=scopes, environment=environment, networks=networks, expires_at=ends)
        self.state.put(secret, record)
        return ApiKey(record["id"], secret, self.state)

    @property
    def usage(self) -> dict[str, dict[str, int]]:
        """How often each key was used, by outcome: `{key.id: {"accepted": 2, "revoked": 1}}`."""
        self._verifiers.report()
        found: dict[str, Counter[str]] = {}
        with self.state.lock:
            for calls, count in self.state.calls.items():
                found.setdefault(calls.credential, Counter())[calls.outcome] += count
        return {credential: dict(counts) for credential, counts in found.items()}

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let nothing answer within the block, as if the portal had been away for a while."""
        with self._failing(_refuse_connection):
            yield

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Let every request time out within the block, without the time passing."""
        with self._failing(_time_out):
            yield

    def is_at(self, url: httpx.URL) -> bool:
        """Return whether a request to this URL is for this portal."""
        own = self._own
        return (url.scheme, url.host, url.port) == (own.scheme, own.host, own.port)

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Return the answer to a request, which has been read. Raises `httpx.TransportError` while it is away."""
        if self._failure is not None:
            raise self._failure(request)
        return answer(self.state, request).response()

    @contextmanager
    def _failing(self, failure: Failure) -> Iterator[None]:
        """Fail every request. Verifiers begin anew before and after it: they trust no record, and wait for nothing."""
        self._verifiers.report()
        before, self._failure = self._failure, failure
        self._verifiers.begin_anew()
        try:
            yield
        finally:
            self._failure = before
            self._verifiers.begin_anew()


def _record_of_service() -> SentRecord:
    return new_record(name="the service", scopes=(SCOPE,), environment="live", networks=(), expires_at=None)


def _refuse_connection(request: httpx.Request) -> Exception:
    error = httpx.ConnectError("the portal is away", request=request)
    error.__cause__ = ConnectionRefusedError()
    return error


def _time_out(request: httpx.Request) -> Exception:
    return httpx.ReadTimeout("the portal is slow", request=request)
