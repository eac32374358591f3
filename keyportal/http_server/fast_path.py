"""Requests that check credentials, answered before Django's request cycle.

The event loop first looks in the cache. If the answer is not there, a thread looks in the database and may wait.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from django.db import DatabaseError, InterfaceError, connection

from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache.freshness import Lookup, freshness, get_or_load, may_query
from gateway import changes, forward_auth, usage_report, verify
from gateway.caller_cache import CallerCache
from gateway.service_call import ServiceCall
from keyportal.errors.problems import problem_of
from keyportal.http_server.request import Request, Sender
from keyportal.http_server.response import Response, header_lines
from keyportal.http_server.simple_responses import error_response, headers_by_scheme, problem_response
from keyportal.logs import request_id

logger = logging.getLogger(__name__)

Responder = Callable[[Lookup], Response]
"""Raises `WouldBlockError` if it may use the cache alone, and the answer is not there."""

OK: Final = HTTPStatus.OK  # looked up once: Python 3.11 calls a function for it
PLAIN_TYPES: Final = (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8")
PLAIN_ACCEPT: Final = (b"*/*", b"application/json", b"application/json, */*", b"application/json, text/plain, */*")


def responder_of(request: Request, sender: Sender, caller_cache: CallerCache) -> Responder | None:
    """Return the function that answers a request, or None if Django answers it. The cache is the connection's."""
    if forward_auth.is_forward_auth(request.path):
        return _forward_auth(request, sender)
    if request.path == changes.PATH and _is_plain(request, "GET"):
        return _changes(request, sender, caller_cache)
    if request.path == usage_report.PATH and not request.query and _is_plain(request, "POST"):
        return _usage(request, sender, caller_cache)
    if request.path == verify.PATH and not request.query and _is_plain(request, "POST"):
        return _verify(request, sender, caller_cache)
    return None


def respond_in_thread(respond: Responder, sender: Sender) -> Response:
    """Return the response, however long it takes. Raises whatever goes wrong."""
    token = request_id.set(sender.request_id)
    try:
        return respond(get_or_load)
    finally:
        request_id.reset(token)


def _forward_auth(request: Request, sender: Sender) -> Responder:
    header = request.header_value(b"authorization")
    gateway_request = forward_auth.ForwardAuthRequest(header, request.query, request.path, sender.address)

    def respond(lookup: Lookup) -> Response:
        decide = forward_auth.decide if may_query(lookup) else forward_auth.decide_at_once
        return gateway_response(decide(gateway_request), sender)

    return respond


def gateway_response(decided: tuple[HTTPStatus, forward_auth.Headers], sender: Sender) -> Response:
    """Return a decision as a response to a gateway."""
    status, headers = decided
    every = (("x-request-id", sender.request_id), forward_auth.NO_STORE)
    if isinstance(headers, tuple):  # a tuple is the same for the next request
        return Response(status, every, lines=_of_identity(headers))
    return Response(status, (*headers, *every))


_of_identity = lru_cache(maxsize=4096)(header_lines)


def _verify(request: Request, sender: Sender, caller_cache: CallerCache) -> Responder:
    authorization = request.header_value(b"authorization")
    call = verify.VerifyCall(authorization, request.query, request.body, sender.address, caller_cache)
    return _service_call(call, request.path, sender)


def _changes(request: Request, sender: Sender, caller_cache: CallerCache) -> Responder | None:
    query = changes.QUERY.fullmatch(request.query)
    if query is None:
        return None
    authorization = request.header_value(b"authorization")
    return _service_call(
        changes.ChangesCall(authorization, query[1], sender.address, caller_cache), request.path, sender
    )


def _usage(request: Request, sender: Sender, caller_cache: CallerCache) -> Responder:
    authorization = request.header_value(b"authorization")
    call = usage_report.UsageCall(authorization, request.query, request.body, sender.address, caller_cache)
    return _service_call(call, request.path, sender)


def _service_call(call: ServiceCall, path: str, sender: Sender) -> Responder:
    def respond(lookup: Lookup) -> Response:
        try:
            if may_query(lookup):
                freshness().confirm_rings()
            body = call.respond(lookup)
        except WouldBlockError:
            raise
        except Exception as error:
            if isinstance(error, (DatabaseError, InterfaceError)):
                connection.close()
            problem = problem_of(error)
            if problem is None:
                logger.exception("a call of a service failed")
                return error_response(path, HTTPStatus.INTERNAL_SERVER_ERROR, sender)
            return problem_response(problem, path, sender)
        headers = tuple(call.authenticate(lookup).lifetime_headers().items())
        return Response(
            call.STATUS, headers, body, None, f"{_of_json(sender.scheme)}x-request-id: {sender.request_id}\r\n"
        )

    return respond


@lru_cache(maxsize=2)
def _of_json(scheme: str) -> str:
    """Return the headers that every JSON verdict has."""
    return header_lines([*headers_by_scheme(scheme).items(), ("content-type", verify.JSON)])


def _is_plain(request: Request, method: str) -> bool:
    """Return whether a service's request has the usual form. Django answers all others."""
    headers = request.named
    return (
        request.method == method
        and len(headers) == len(request.headers)
        and (method == "GET" or headers.get(b"content-type", b"").lower() in PLAIN_TYPES)
        and headers.get(b"accept", b"*/*") in PLAIN_ACCEPT
        and b"host" in headers
    )
