"""Answers as the portal gives them: JSON, and problem details (RFC 9457)."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import httpx

from keyportal_client.refusals import Refusal

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Reply(NamedTuple):
    """One answer."""

    body: Mapping[str, Any]
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = _NO_HEADERS

    def response(self) -> httpx.Response:
        """Return it as httpx's transports do: not read yet."""
        kind = "application/json" if self.status < HTTPStatus.BAD_REQUEST else "application/problem+json"
        body = json.dumps(self.body).encode()
        fixed = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        return httpx.Response(self.status, headers={**fixed, **self.headers}, stream=httpx.ByteStream(body))


class ProblemError(Exception):
    """A call that the portal refuses."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class _Kind(NamedTuple):
    status: HTTPStatus
    title: str
    detail: str


KINDS: Final[Mapping[str, _Kind]] = {
    "malformed_body": _Kind(
        HTTPStatus.BAD_REQUEST,
        "The body is not valid JSON",
        "Send one JSON object, in UTF-8, with each member once.",
    ),
    "validation": _Kind(
        HTTPStatus.BAD_REQUEST,
        "Some fields are invalid",
        "Each entry in “errors” points to a field and says what is wrong.",
    ),
    "not_found": _Kind(HTTPStatus.NOT_FOUND, "There is nothing here", "Check the address and the id."),
    "method_not_allowed": _Kind(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "This address does not support that method",
        "The Allow header lists the methods that it supports.",
    ),
    "unsupported_media_type": _Kind(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "Only JSON is accepted here",
        "Send “Content-Type: application/json”.",
    ),
}
"""The codes of the portal that are about requests, not credentials."""


def problem(portal: str, code: str, **members: Any) -> ProblemError:
    """Return the error for a request that is not as it should be."""
    kind = KINDS[code]
    body = {
        "type": f"{portal}/docs/errors/{code}/",
        "title": kind.title,
        "status": int(kind.status),
        "detail": kind.detail,
        "code": code,
        **members,
    }
    return ProblemError(Reply(body, int(kind.status)))


def refused(portal: str, refusal: Refusal) -> ProblemError:
    """Return the error for a service whose own credential is refused."""
    return ProblemError(Reply(refusal.problem(portal), refusal.status, refusal.response_headers()))


def invalid(portal: str, errors: Sequence[tuple[str, str]]) -> ProblemError:
    """Return the error for members that are not as they should be: pointers, and what to send instead."""
    return problem(portal, "validation", errors=[{"pointer": pointer, "detail": detail} for pointer, detail in errors])
