"""Put a portal in memory below httpx, so that whatever asks the portal in this process asks it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import httpx

from keyportal_client.testing.environment import KEY, PORTAL, URL, named
from keyportal_client.testing.portal import InMemoryPortal
from keyportal_client.testing.secret import new_secret
from keyportal_client.testing.verifiers import Verifiers


@contextmanager
def in_memory_portal() -> Iterator[InMemoryPortal]:
    """Answer for the portal within the block; every other request goes where it went before.

    Its address and the service's key are those of KEYPORTAL_PORTAL and KEYPORTAL_KEY, which are set if they are not.
    """
    url = os.environ.get(PORTAL) or URL
    key = os.environ.get(KEY) or new_secret("live")
    verifiers = Verifiers()
    portal = InMemoryPortal(url, key.strip(), verifiers)
    with named(portal.url, portal.key), _below_httpx(portal), verifiers.threadless():
        yield portal


@contextmanager
def _below_httpx(portal: InMemoryPortal) -> Iterator[None]:
    """Let httpx's transports give the portal what is for it, and send the rest as they did, be it to another double."""
    send_elsewhere = httpx.HTTPTransport.handle_request
    send_elsewhere_async = httpx.AsyncHTTPTransport.handle_async_request

    def send(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if not portal.is_at(request.url):
            return send_elsewhere(transport, request)
        request.read()
        return portal.handle(request)

    async def send_async(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        if not portal.is_at(request.url):
            return await send_elsewhere_async(transport, request)
        await request.aread()
        return portal.handle(request)

    with (
        patch.object(httpx.HTTPTransport, "handle_request", send),
        patch.object(httpx.AsyncHTTPTransport, "handle_async_request", send_async),
    ):
        yield
