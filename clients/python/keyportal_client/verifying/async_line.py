"""Requests to the portal from an event loop, over connections that are kept."""

import asyncio
from functools import cached_property

import httpx

from keyportal_client.verifying.access import Access
from keyportal_client.verifying.answers import Answer
from keyportal_client.verifying.exchange import (
    FAILURES,
    KEPT,
    NOT_KEPT,
    Body,
    Call,
    Trace,
    answer_of,
    away,
    is_stale,
    proxy_of,
    request_of,
)


class AsyncLine:
    """Sends requests to one portal, from one event loop."""

    def __init__(self, access: Access, *, timeout: float) -> None:
        self._access = access
        self._timeout = timeout

    async def send(self, call: Call) -> Answer:
        """Return the answer to a request. Raises `PortalAwayError`, which holds nothing of the request."""
        outcome: Answer | Exception
        try:
            outcome = await asyncio.wait_for(self._try(call), 2 * self._timeout)
        except asyncio.TimeoutError:
            outcome = TimeoutError()
        if isinstance(outcome, Answer):
            return outcome
        # Not where it was caught: what httpx raises holds the request, and with it the service's key.
        raise away(outcome, self._access.portal, timeout=self._timeout)

    async def close(self) -> None:
        """Close the connections."""
        for name in ("_kept", "_fresh"):
            if name in self.__dict__:
                await self.__dict__.pop(name).aclose()

    async def _try(self, call: Call) -> Answer | Exception:
        """Return the answer or what went wrong; on a connection of its own if a kept one was closed."""
        trace = Trace()
        try:
            return await self._exchange(self._kept, call, trace)
        except FAILURES as error:
            if not is_stale(error, trace):
                return error
        try:
            return await self._exchange(self._fresh, call, Trace())
        except FAILURES as error:
            return error

    async def _exchange(self, transport: httpx.AsyncHTTPTransport, call: Call, trace: Trace) -> Answer:
        request = request_of(call, self._access, timeout=self._timeout, trace=trace.heed)
        response, body = await transport.handle_async_request(request), Body(self._timeout)
        try:
            async for chunk in response.aiter_raw():
                body.add(chunk)
        finally:
            await response.aclose()
        return answer_of(response, body)

    @cached_property
    def _kept(self) -> httpx.AsyncHTTPTransport:
        return self._transport(KEPT)

    @cached_property
    def _fresh(self) -> httpx.AsyncHTTPTransport:
        return self._transport(NOT_KEPT)

    def _transport(self, limits: httpx.Limits) -> httpx.AsyncHTTPTransport:
        access = self._access
        return httpx.AsyncHTTPTransport(verify=access.tls, trust_env=False, limits=limits, proxy=proxy_of(access))
