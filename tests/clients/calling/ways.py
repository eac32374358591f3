"""The three ways to call an API: httpx, httpx in an event loop, and requests. All must do the same."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import httpx
import requests

from keyportal_client.calling import BearerAdapter, BearerAuth, RetryPolicy
from tests.clients.verifying.clock import Clock
from tests.waiting import DEADLINE


class Got(NamedTuple):
    """A response."""

    status: int
    body: bytes


Way = Callable[..., Got]


def by_httpx(api: str, method: str, url: str, *, body: Any = None, headers: Any = None, **auth: Any) -> Got:
    """Send a request with `httpx.Client`."""
    with httpx.Client(auth=BearerAuth(api, **auth), trust_env=False, timeout=DEADLINE) as client:
        found = client.request(method, url, content=body, headers=headers, follow_redirects=True)
        return Got(found.status_code, found.content)


def by_httpx_async(api: str, method: str, url: str, *, body: Any = None, headers: Any = None, **auth: Any) -> Got:
    """Send a request with `httpx.AsyncClient`."""

    async def send() -> Got:
        async with httpx.AsyncClient(auth=BearerAuth(api, **auth), trust_env=False, timeout=DEADLINE) as client:
            found = await client.request(method, url, content=body, headers=headers, follow_redirects=True)
            return Got(found.status_code, found.content)

    return asyncio.run(send())


def by_requests(api: str, method: str, url: str, *, body: Any = None, headers: Any = None, **auth: Any) -> Got:
    """Send a request with `requests.Session`."""
    with BearerAdapter(api, **auth).mount_on(requests.Session()) as session:
        session.trust_env = False
        found = session.request(method, url, data=body, headers=headers, timeout=DEADLINE)
        return Got(found.status_code, found.content)


WAYS: Final[Mapping[str, Way]] = {"httpx": by_httpx, "httpx async": by_httpx_async, "requests": by_requests}


class Pauses:
    """The waits of a policy, which take no time."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.all: list[float] = []

    def policy(self, **changed: Any) -> RetryPolicy:
        """Return a policy that waits by this."""
        return RetryPolicy(sleep=self._sleep, sleep_async=self._sleep_async, now=self.clock, **changed)

    def _sleep(self, seconds: float) -> None:
        self.all.append(seconds)
        self.clock.pass_by(seconds)

    async def _sleep_async(self, seconds: float) -> None:
        self._sleep(seconds)
