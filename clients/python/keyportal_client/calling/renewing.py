"""Access tokens that are fetched before they end: once for all threads and tasks that need one."""

import asyncio
import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future
from math import inf
from typing import Final, NamedTuple

from keyportal_client.errors import RateLimitedError, UnavailableError, UnreachableError
from keyportal_client.verifying import clock
from keyportal_client.verifying.clock import Clock
from keyportal_client.verifying.forking import begin_anew_after_forks

EARLY: Final = 30.0
"""Seconds before its end at which a token is renewed; half of its life if that is shorter."""
RETRY_EVERY: Final = 5.0
"""Seconds between two tries to renew a token that is still good."""
YOUNG: Final = 30.0
"""Seconds for which a token is not renewed, however often an API refuses it: another one would not help."""
PASSING: Final = (UnreachableError, UnavailableError, RateLimitedError)
"""Errors that say nothing about the credential."""


class AccessToken(NamedTuple):
    """A token that was fetched."""

    text: str
    lifetime: float
    """Seconds."""

    def __repr__(self) -> str:
        return f"AccessToken(for {self.lifetime:g} s)"


class _CachedToken(NamedTuple):
    text: str
    since: float
    until: float
    renew_at: float


_NONE: Final = _CachedToken("", -inf, -inf, -inf)


class RenewedCredential(ABC):
    """A credential that is an access token. Thread-safe."""

    def __init__(self, *, now: Clock = clock.now) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._held = _NONE
        self._flight: Future[str] | None = None
        begin_anew_after_forks(self)

    def begin_anew(self) -> None:
        """Begin anew after a fork: the thread that fetches is the parent's."""
        self._lock, self._flight = threading.Lock(), None

    @property
    def text(self) -> str:
        """The token that is held; empty without one."""
        return self._held.text

    def forget(self) -> None:
        """Hold none, so that the next one is fetched."""
        with self._lock:
            self._held = _NONE

    @property
    @abstractmethod
    def identity(self) -> str:
        """What tells this credential from others, as long as this process lives. It may be a secret."""

    @abstractmethod
    def fetch(self) -> AccessToken:
        """Return the next token. Raises `KeyportalError`."""

    def current(self) -> str:
        """Return a token that is good for a while. Raises `KeyportalError`."""
        return self._take(spent="")

    def renewed(self, spent: str) -> str | None:
        """Return another token than one that an API refused; None if another one would not help."""
        return None if self._is_young(spent) else self._take(spent=spent)

    async def current_async(self) -> str:
        """Do what `current` does, without blocking the event loop."""
        return await self._take_async(spent="")

    async def renewed_async(self, spent: str) -> str | None:
        """Do what `renewed` does, without blocking the event loop."""
        return None if self._is_young(spent) else await self._take_async(spent=spent)

    def _take(self, *, spent: str) -> str:
        joined = self._join(spent)
        if isinstance(joined, str):
            return joined
        flight, is_first = joined
        if is_first:
            self._run(flight)
        return flight.result()

    async def _take_async(self, *, spent: str) -> str:
        joined = self._join(spent)
        if isinstance(joined, str):
            return joined
        flight, is_first = joined
        if is_first:
            self._start(flight)
        # Shielded: a task that is cancelled must not end it for the others.
        return await asyncio.shield(asyncio.wrap_future(flight))

    def _join(self, spent: str) -> str | tuple["Future[str]", bool]:
        """Return the token if it will do; else who fetches the next one, and whether it is the caller."""
        with self._lock:
            held, now = self._held, self._now()
            if held.text and held.text != spent and now < held.renew_at:
                return held.text
            if self._flight is not None:
                return self._flight, False
            self._flight = Future()
            return self._flight, True

    def _start(self, flight: "Future[str]") -> None:
        """Fetch the next token in a thread of its own: those of the event loop may all be waiting for it."""
        try:
            threading.Thread(target=self._run, args=(flight,), name="keyportal-token", daemon=True).start()
        except RuntimeError:
            self._land()
            flight.set_exception(UnreachableError("There is no thread to renew the token in.", was_sent=False))

    def _run(self, flight: "Future[str]") -> None:
        """Fetch the next token, and give it to all who wait."""
        try:
            text = self._fetch_or_keep()
        except Exception as error:  # noqa: BLE001  # all who wait get it
            self._land()
            flight.set_exception(error)
        except BaseException:
            self._land()
            flight.set_exception(UnreachableError("The renewal of the access token was interrupted.", was_sent=True))
            raise
        else:
            self._land()
            flight.set_result(text)

    def _fetch_or_keep(self) -> str:
        """Return the next token, or the present one while that is good and there is no next one."""
        held = self._held
        try:
            token, now = self.fetch(), self._now()
        except PASSING:
            now = self._now()
            if now >= held.until:
                raise
            self._held = held._replace(renew_at=now + RETRY_EVERY)
            return held.text
        early = min(EARLY, token.lifetime / 2)
        self._held = _CachedToken(token.text, now, now + token.lifetime, now + token.lifetime - early)
        return token.text

    def _land(self) -> None:
        with self._lock:
            self._flight = None

    def _is_young(self, spent: str) -> bool:
        held = self._held
        return spent == held.text and self._now() - held.since < YOUNG
