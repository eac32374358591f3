"""Requests to the portal from threads, over connections that are kept."""

from functools import cached_property

import httpx

from keyportal_client.bounded import BoundedTransport
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


class Line:
    """Sends requests to one portal. Thread-safe."""

    def __init__(self, access: Access, *, timeout: float) -> None:
        self._access = access
        self._timeout = timeout

    def send(self, call: Call) -> Answer:
        """Return the answer to a request. Raises `PortalAwayError`, which holds nothing of the request."""
        outcome = self._try(call)
        if isinstance(outcome, Answer):
            return outcome
        # Not where it was caught: what httpx raises holds the request, and with it the service's key.
        raise away(outcome, self._access.portal, timeout=self._timeout)

    def close(self) -> None:
        """Close the connections."""
        for name in ("_kept", "_fresh"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()

    def _try(self, call: Call) -> Answer | Exception:
        """Return the answer or what went wrong; on a connection of its own if a kept one was closed."""
        trace = Trace()
        try:
            return self._exchange(self._kept, call, trace)
        except FAILURES as error:
            if not is_stale(error, trace):
                return error
        try:
            return self._exchange(self._fresh, call, Trace())
        except FAILURES as error:
            return error

    def _exchange(self, transport: BoundedTransport, call: Call, trace: Trace) -> Answer:
        request = request_of(call, self._access, timeout=self._timeout, trace=trace)
        with transport.within(self._timeout):
            response, body = transport.handle_request(request), Body(self._timeout)
            try:
                for chunk in response.iter_raw():
                    body.add(chunk)
            finally:
                response.close()
        return answer_of(response, body)

    @cached_property
    def _kept(self) -> BoundedTransport:
        return self._transport(KEPT)

    @cached_property
    def _fresh(self) -> BoundedTransport:
        return self._transport(NOT_KEPT)

    def _transport(self, limits: httpx.Limits) -> BoundedTransport:
        access = self._access
        return BoundedTransport(verify=access.tls, limits=limits, proxy=proxy_of(access))
