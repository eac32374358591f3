"""From an answer to JSON, or to the error that says why there is none."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from keyportal_client.errors import (
    Fault,
    NotAuthenticatedError,
    RateLimitedError,
    RefusedError,
    UnavailableError,
    UnexpectedAnswerError,
)
from keyportal_client.transport import Answer

AWAY: Final = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
_KINDS: Final[Mapping[int, type[RefusedError]]] = {
    HTTPStatus.UNAUTHORIZED: NotAuthenticatedError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitedError,
    **dict.fromkeys(AWAY, UnavailableError),
}
_OF_GATEWAYS: Final = {
    HTTPStatus.TOO_MANY_REQUESTS: "There were too many requests.",
    **dict.fromkeys(AWAY, "The portal is not available at the moment."),
}
"""What gateways in front of a portal answer for it, in words of their own."""

_SCOPES: Final = re.compile(r'\bscope="([^"]{1,4000})"')


def json_of(answer: Answer) -> Any:
    """Return the JSON of an answer; None if it has no body. Raises `RefusedError`, `UnexpectedAnswerError`."""
    if answer.status == HTTPStatus.NO_CONTENT:
        return None
    body = _parse(answer)
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES and body is not None:
        return body
    raise _refusal(answer, body)


def _parse(answer: Answer) -> Any:
    """Return the body; None if it is not JSON."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return None
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _refusal(answer: Answer, body: Any) -> Exception:
    kind = _KINDS.get(answer.status, RefusedError)
    retry_after = _seconds(answer.headers.get("Retry-After", ""))
    request_id = answer.headers.get("X-Request-ID", "")
    if isinstance(body, dict) and isinstance(body.get("code"), str) and isinstance(body.get("title"), str):
        return kind(
            body["title"],
            status=answer.status,
            code=body["code"],
            detail=str(body.get("detail", "")),
            faults=_faults(body.get("errors")),
            scopes=_scopes(answer.headers.get("WWW-Authenticate", "")),
            retry_after=retry_after,
            request_id=request_id,
        )
    if answer.status in _OF_GATEWAYS:
        return kind(_OF_GATEWAYS[HTTPStatus(answer.status)], status=answer.status, code="", retry_after=retry_after)
    return UnexpectedAnswerError(_why_unexpected(answer))


def _faults(errors: Any) -> list[Fault]:
    entries = [entry for entry in errors if isinstance(entry, dict)] if isinstance(errors, list) else []
    return [Fault(str(entry.get("pointer", "")), str(entry.get("detail", ""))) for entry in entries]


def _scopes(challenge: str) -> list[str]:
    """Return the scopes that a challenge names (RFC 6750 §3)."""
    named = _SCOPES.search(challenge)
    return named[1].split() if named else []


def _why_unexpected(answer: Answer) -> str:
    target = urlsplit(answer.headers.get("Location", ""))
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST and target.hostname:
        return (
            f"The portal redirects to {target.scheme}://{target.hostname}. Your credential was not sent there. "
            "If that is the portal's new address, log in there."
        )
    return f"What answered is not a portal that this client knows (status {answer.status}). Check the address."


def _seconds(retry_after: str) -> int | None:
    text = retry_after.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < len("1000000") else None
