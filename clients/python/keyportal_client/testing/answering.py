"""Which call a request is, who may make it, and what it is answered."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import parse_qs

import httpx

from keyportal_client.calling.client_credentials import ME_PATH, TOKEN_PATH
from keyportal_client.credential import Credential
from keyportal_client.refusals import Refusal
from keyportal_client.testing.replies import ProblemError, Reply, problem, refused
from keyportal_client.testing.signing import published_keys
from keyportal_client.testing.state import UNKNOWN, State
from keyportal_client.testing.token_call import exchange
from keyportal_client.testing.usage_call import report
from keyportal_client.testing.verify_call import credential_json, verify
from keyportal_client.verifying import feed, key_set, verdicts
from keyportal_client.verifying.client_address import NOWHERE
from keyportal_client.verifying.header import credential_of
from keyportal_client.verifying.requirements import Requirements

SCOPE: Final = "credentials:verify"
JSON: Final = "application/json"
KEYS_KEPT: Final = 60
"""Seconds for which the published keys may be cached."""


class Route(NamedTuple):
    """One call of the portal."""

    method: str
    answer: Callable[[State, httpx.Request], Reply]
    scope: str | None = None
    """The scope that a caller needs; empty for any credential, None for none."""


def answer(state: State, request: httpx.Request) -> Reply:
    """Return the answer to a request, which has been read."""
    with state.lock:
        try:
            route = _route(state, request)
            if route.scope is not None:
                _authenticate(state, request, route.scope)
            return route.answer(state, request)
        except ProblemError as error:
            return error.reply


def _route(state: State, request: httpx.Request) -> Route:
    route = ROUTES.get(request.url.path)
    if route is None:
        raise problem(state.url, "not_found")
    if request.method != route.method:
        raise problem(state.url, "method_not_allowed")
    return route


def _authenticate(state: State, request: httpx.Request, scope: str = "") -> Credential:
    """Return who asks, judged as credentials are. Raises `ProblemError` unless it may."""
    text = credential_of(request.headers.get("Authorization"))
    if isinstance(text, Refusal):
        raise refused(state.url, text)
    verdict = state.verdict(text, Requirements(scopes=(scope,) if scope else ()), NOWHERE)
    if verdict.refusal is not None or verdict.accepted is None:
        raise refused(state.url, verdict.refusal or UNKNOWN)
    return verdict.accepted


def _verify(state: State, request: httpx.Request) -> Reply:
    return verify(state, _json(state, request))


def _report(state: State, request: httpx.Request) -> Reply:
    return report(state, _json(state, request))


def _changes(state: State, request: httpx.Request) -> Reply:
    cursor = parse_qs(request.url.query.decode()).get("since", [None])[0]
    tags = state.log.since(cursor)
    said = {"reset": True} if tags is None else {"tags": tags}
    return Reply({"cursor": state.log.cursor, "as_of_ms": 0, **said})


def _me(state: State, request: httpx.Request) -> Reply:
    return Reply(credential_json(_authenticate(state, request)))


def _keys(state: State, request: httpx.Request) -> Reply:
    return Reply(published_keys(), headers={"Cache-Control": f"public, max-age={KEYS_KEPT}"})


def _json(state: State, request: httpx.Request) -> bytes:
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != JSON:
        raise problem(state.url, "unsupported_media_type")
    return request.content


ROUTES: Final[Mapping[str, Route]] = MappingProxyType(
    {
        verdicts.PATH: Route("POST", _verify, SCOPE),
        feed.CHANGES: Route("GET", _changes, SCOPE),
        feed.USAGE: Route("POST", _report, SCOPE),
        key_set.PATH: Route("GET", _keys),
        ME_PATH: Route("GET", _me),
        TOKEN_PATH: Route("POST", exchange),
    }
)
