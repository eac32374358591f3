"""Requests of other services about credentials, answered before Django's request cycle.

The event loop first asks memory. If memory does not know, a thread asks again and may wait.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from django.db import DatabaseError, InterfaceError, connection

from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache.freshness import Lookup, freshness, get_or_load
from gateway import forward_auth, verify
from gateway.caller_cache import CallerCache
from keyportal.errors.problems import problem_of
from keyportal.http_server.answer import Answer, header_lines
from keyportal.http_server.last_resort import always, last_resort, of_problem
from keyportal.http_server.request import Request, Sender
from keyportal.logs import request_id

logger = logging.getLogger(__name__)

Question = Callable[[Lookup], Answer]
"""Raises `WouldBlockError` if it may use memory alone, and memory does not know."""

PLAIN_TYPES: Final = (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8")
PLAIN_ACCEPT: Final = (b"*/*", b"application/json", b"application/json, */*", b"application/json, text/plain, */*")


def question_of(request: Request, sender: Sender, known: CallerCache) -> Question | None:
    """Return the function that answers a request, or None if Django answers it. `known` belongs to the connection."""
    if forward_auth.is_forward_auth(request.path):
        return _forward_auth(request, sender)
    if request.path == verify.PATH and _is_plain(request):
        return _verify(request, sender, known)
    return None


def asked_in_thread(question: Question, sender: Sender) -> Answer:
    """Return the response, however long it takes. Raises whatever goes wrong."""
    token = request_id.set(sender.request_id)
    try:
        return question(get_or_load)
    finally:
        request_id.reset(token)


def _forward_auth(request: Request, sender: Sender) -> Question:
    asked = forward_auth.Question(request.joined(b"authorization"), request.query, request.path, sender.address)

    def answer(lookup: Lookup) -> Answer:
        return of_gateway(
            forward_auth.decide(asked) if lookup is get_or_load else forward_auth.decide_at_once(asked), sender
        )

    return answer


def of_gateway(decided: tuple[HTTPStatus, forward_auth.Headers], sender: Sender) -> Answer:
    """Return a decision as a response to a gateway."""
    status, headers = decided
    every = (("x-request-id", sender.request_id), forward_auth.NEVER_STORED)
    if isinstance(headers, tuple):  # a tuple is the same for the next request
        return Answer(status, every, lines=_of_identity(headers))
    return Answer(status, (*headers, *every))


_of_identity = lru_cache(maxsize=4096)(header_lines)


def _verify(request: Request, sender: Sender, known: CallerCache) -> Question:
    authorization = request.joined(b"authorization")
    asked = verify.Question(authorization, request.query, request.body, sender.address, known)

    def answer(lookup: Lookup) -> Answer:
        try:
            if lookup is get_or_load:
                freshness().confirm_rings()
            told = asked.answer(lookup)
        except WouldBlockError:
            raise
        except Exception as error:
            if isinstance(error, (DatabaseError, InterfaceError)):
                connection.close()
            problem = problem_of(error)
            if problem is None:
                logger.exception("verify failed")
                return last_resort(request.path, HTTPStatus.INTERNAL_SERVER_ERROR, sender)
            return of_problem(problem, request.path, sender)
        return Answer(HTTPStatus.OK, (), told, None, f"{_of_json(sender.scheme)}x-request-id: {sender.request_id}\r\n")

    return answer


@lru_cache(maxsize=2)
def _of_json(scheme: str) -> str:
    """Return the headers that every JSON verdict has."""
    return header_lines([*always(scheme).items(), ("content-type", verify.JSON)])


def _is_plain(request: Request) -> bool:
    """Return whether a request to verify has the usual form. Django answers all others."""
    headers = request.named
    return (
        request.method == "POST"
        and not request.query
        and len(headers) == len(request.headers)
        and headers.get(b"content-type", b"").lower() in PLAIN_TYPES
        and headers.get(b"accept", b"*/*") in PLAIN_ACCEPT
        and b"host" in headers
    )
