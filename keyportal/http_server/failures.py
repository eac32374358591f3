"""Responses to requests that could not be answered, made without Django, each with a line in the log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from credentials.runtime.quiet import Quiet
from gateway import forward_auth
from keyportal.http_server.fast_path import gateway_response
from keyportal.http_server.request import Request, UnreadableError
from keyportal.http_server.response import Response
from keyportal.http_server.simple_responses import error_response
from keyportal.logs import request_id

logger = logging.getLogger(__name__)

_quiet: Final = Quiet()
"""For what many requests meet at once; metrics count the others."""


def late_response(request: Request) -> Response:
    """Return the response to a request whose deadline has passed."""
    with request_id_of(request):
        logger.warning("answered 503: a request was not done at its deadline")
    return _without_django(request, HTTPStatus.SERVICE_UNAVAILABLE)


def busy_response(request: Request) -> Response:
    """Return the response to a request for which the queue has no place."""
    if _quiet.is_due("busy"):
        with request_id_of(request):
            logger.warning("answered 503: all threads are busy, and too many requests wait for one")
    return _without_django(request, HTTPStatus.SERVICE_UNAVAILABLE)


def failed_response(request: Request) -> Response:
    """Return the response to a request that failed."""
    return _without_django(request, HTTPStatus.INTERNAL_SERVER_ERROR)


def unreadable_response(request: Request, why: UnreadableError) -> Response:
    """Return the refusal of a request without using a thread. Even its head may be incomplete."""
    sender = request.sender()
    with request_id_of(request):
        logger.info("refused before Django with %d: %s", why.status, why.detail)
    return error_response(request.path, why.status, sender, why.detail)


@contextmanager
def request_id_of(request: Request) -> Iterator[None]:
    """Let the lines of the block have the id of this request."""
    token = request_id.set(request.sender().request_id)
    try:
        yield
    finally:
        request_id.reset(token)


def _without_django(request: Request, status: HTTPStatus) -> Response:
    sender = request.sender()
    if forward_auth.is_forward_auth(request.path):
        return gateway_response(forward_auth.UNAVAILABLE, sender)
    return error_response(request.path, status, sender)
