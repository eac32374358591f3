"""Refusals as responses: `application/problem+json` (RFC 9457), as the portal itself answers."""

import json
from typing import Final, NamedTuple

from keyportal_client.refusals import Refusal

_CLOSE_CODES: Final = {401: 3000, 403: 3003, 429: 1013, 503: 1013}
_POLICY_VIOLATION: Final = 1008


class ProblemResponse(NamedTuple):
    """What to answer, for any framework."""

    status: int
    headers: dict[str, str]
    body: bytes


def problem_response(refusal: Refusal, portal: str) -> ProblemResponse:
    """Return the response for a refusal. Without a portal that is known, it names no page about the code."""
    problem = refusal.problem(portal)
    if not portal:
        del problem["type"]
    return ProblemResponse(refusal.status, refusal.response_headers(), json.dumps(problem, ensure_ascii=False).encode())


def close_code(refusal: Refusal) -> int:
    """Return the code that closes a WebSocket: of the IANA's registry, else that of RFC 6455 for a violated policy."""
    return _CLOSE_CODES.get(refusal.status, _POLICY_VIOLATION)
