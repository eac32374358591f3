"""Forward-auth, `/gateway/auth`: a gateway sends each request's credential here, to have it checked.

For nginx `auth_request`, Caddy `forward_auth`, Traefik ForwardAuth and Envoy `ext_authz`. Answered before Django's
request cycle by the same verification as everywhere else: in the event loop if the cache has the answer
(`decide_at_once`), else in a thread (`decide`). The statuses are 200, 400, 401, 403, 429 and 503, with an empty body.
Apart from the credential, nothing that a client controls affects the decision: not the method, the path below it, the
body, nor forwarded headers from an untrusted peer.
"""

import logging
import time
from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import parse_qs

from django.db import DatabaseError, InterfaceError, connection

from audit.client_address import Address
from credentials.admission import Admission
from credentials.bearer import token_of
from credentials.credential import Credential
from credentials.limits.rate_limiter import Quota
from credentials.record import VerifiedRecord
from credentials.refusals import Refusal, RefusedError, refusal_error
from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache.freshness import Lookup, freshness, get_cached, get_or_load, may_query
from gateway.assertions import assertion_for, can_assert
from gateway.verification import verify_any
from vault.claims import MAX_TEXT
from vault.errors import VaultError

logger = logging.getLogger(__name__)

Headers = Sequence[tuple[str, str]]
"""A tuple if the next request with the same credential gets the same headers, so that they can be cached."""

PARAMETERS: Final = frozenset({"scope", "environment", "audience", "aud", "deny"})
"""The parameters that a gateway's configuration may use."""
ENVIRONMENTS: Final = frozenset({"live", "test"})
MAX_CACHED_QUERY: Final = 512
"""The longest query, in characters, whose parsed form is cached."""
BELOW: Final = "/…"
MAX_COMPARED: Final = 8
WARN_EVERY: Final = 60.0  # seconds between two log lines about a misconfigured gateway
ENTRY_POINT: Final = "forward_auth"
PATH: Final = "/gateway/auth"
NO_STORE: Final = ("Cache-Control", "no-store")
"""The header that every answer has."""
OK: Final = HTTPStatus.OK  # looked up once: Python 3.11 calls a function for it
UNAVAILABLE: Final[tuple[HTTPStatus, Headers]] = (HTTPStatus.SERVICE_UNAVAILABLE, [("Retry-After", "2")])


class ForwardAuthRequest(NamedTuple):
    """One request of a gateway."""

    authorization: str | None
    """The Authorization header; several lines are joined by commas."""
    query: str
    path: str
    """`/gateway/auth`, where the query is the gateway's own, or a path below it."""
    address: Address | None
    """The address that sent the credential to the gateway."""


class Requirements(NamedTuple):
    """What the gateway's configuration requires, from the query."""

    scopes: tuple[str, ...]
    environment: str | None
    audience: str | None
    assertion: str | None
    """The audience of the signed identity to pass on; None for none."""
    is_mistaken: bool
    """Whether the query has a mistake. If so, every request is refused."""


def is_forward_auth(path: str) -> bool:
    """Return whether a path is `/gateway/auth` or lies below it."""
    return path.startswith(PATH) and path[len(PATH) : len(PATH) + 1] in ("", "/")


def decide(request: ForwardAuthRequest) -> tuple[HTTPStatus, Headers]:
    """Return status and headers for a request; 503 if anything goes wrong here, never 200."""
    try:
        freshness().confirm_rings()
        return _decide(request, lookup=get_or_load)
    except (DatabaseError, InterfaceError, VaultError):
        connection.close()
        logger.exception("unavailable")
    except Exception:  # a gateway must get an answer, and it must not be a good one
        logger.exception("forward-auth failed")
    return UNAVAILABLE


def decide_at_once(request: ForwardAuthRequest) -> tuple[HTTPStatus, Headers]:
    """Return what `decide` would, from the cache. Raises `WouldBlockError` if the cache does not have the answer."""
    return _decide(request, lookup=get_cached)


def _decide(request: ForwardAuthRequest, *, lookup: Lookup) -> tuple[HTTPStatus, Headers]:
    requirements = _requirements(request)
    try:
        record, quota = _verify(request, requirements, lookup)
    except RefusedError as error:
        if not may_query(lookup) and not freshness().is_known_current():
            raise WouldBlockError from None  # only a thread can find out whether the portal may answer at all
        return _refusal(error.refusal, request.query)
    credential, audience = record.credential, requirements.assertion
    assertion = assertion_for(credential, audience) if audience else ""
    identity, ends = _identity(credential, assertion), record.lifetime_headers()
    if quota is None and not ends:
        return OK, identity
    return OK, [*identity, *(quota.headers().items() if quota else ()), *ends.items()]


def _verify(
    request: ForwardAuthRequest, requirements: Requirements, lookup: Lookup
) -> tuple[VerifiedRecord, Quota | None]:
    address = request.address
    if requirements.is_mistaken:
        raise refusal_error("misconfigured")
    text = token_of(request.authorization)  # without the query, which is the gateway's
    if text is None:
        raise refusal_error("missing_credential")
    with Admission(ENTRY_POINT, address) as admission:
        record = verify_any(
            text,
            address=address,
            environment=requirements.environment,
            scopes=requirements.scopes,
            audience=requirements.audience,
            lookup=lookup,
        )
        quota = admission.accept(record, may_block=may_query(lookup))
    return record, quota


@lru_cache(maxsize=4096)
def _identity(credential: Credential, assertion: str) -> tuple[tuple[str, str], ...]:
    """Return the headers that the gateway passes on. All are always present, so that each overwrites a client's own."""
    return (
        ("X-Keyportal-Key", credential.key_id),
        ("X-Keyportal-Owner", credential.owner_id),
        ("X-Keyportal-Scopes", " ".join(sorted(credential.scopes))),
        ("X-Keyportal-Environment", credential.environment),
        ("X-Keyportal-Kind", credential.kind),
        ("X-Keyportal-Assertion", assertion),
    )


def _refusal(refusal: Refusal, query: str) -> tuple[HTTPStatus, Headers]:
    """Return the status and headers of a refusal: 403 and 429 as elsewhere, 400 for a misconfigured gateway, else 401.

    `deny=403` turns 429 into 403, for nginx. `X-Keyportal-Code` tells the gateway the reason.
    """
    status = HTTPStatus(refusal.reason.status)
    headers = [("X-Keyportal-Code", refusal.code), *refusal.headers.items()]
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        denied = "403" in parse_qs(query).get("deny", [])
        headers.append(("Retry-After", str(refusal.retry_after)))
        return HTTPStatus.FORBIDDEN if denied else status, headers
    if refusal.code == "misconfigured":
        return status, headers
    headers.append(("WWW-Authenticate", refusal.challenge()))
    return HTTPStatus.FORBIDDEN if status == HTTPStatus.FORBIDDEN else HTTPStatus.UNAUTHORIZED, headers


def _requirements(request: ForwardAuthRequest) -> Requirements:
    """Return the parsed query. A location always sends the same one, so it is cached; a client's can be any length."""
    # A longer query would fill the cache: parse it past the cache.
    read = _parse_query if len(request.query) <= MAX_CACHED_QUERY else _parse_query.__wrapped__
    behind = request.path[len(PATH) :]
    return read(request.query, behind if behind in ("", "/") else BELOW)


@lru_cache(maxsize=1024)
def _parse_query(query: str, behind: str) -> Requirements:
    """Return the parsed query. `behind` is what follows `/gateway/auth` in the path: nothing, a slash, or more.

    On a longer path the query may be the client's (Envoy appends path and query): unknown names are ignored, and no
    audience may be named, because that would admit tokens for other services. On the path itself the query comes from a
    configuration, so an unknown name is a mistake that would open what it was meant to close. A path that ends with a
    slash can be either: there, a name that is nearly one of ours is a mistake.
    """
    parameters = parse_qs(query, keep_blank_values=True)
    environments, audiences = parameters.get("environment", []), parameters.get("audience", [])
    asserted = parameters.get("aud", [])
    scopes = tuple(name for text in parameters.get("scope", []) for name in text.split(" "))
    # A query with two environments or two audiences contradicts itself.
    is_mistaken = "" in scopes or "" in audiences or max(map(len, (environments, audiences, asserted))) > 1
    is_mistaken = is_mistaken or not all(map(_can_be_asserted, asserted))
    is_mistaken = is_mistaken or not ENVIRONMENTS.issuperset(environments)
    unknown = parameters.keys() - PARAMETERS
    if not behind:
        is_mistaken = is_mistaken or bool(unknown) or parameters.get("deny", ["403"]) != ["403"]
        if is_mistaken:
            _warn_operators()
    else:
        nearly = behind == "/" and any(map(_is_nearly_ours, list(unknown)[:MAX_COMPARED]))
        is_mistaken = is_mistaken or bool(audiences or asserted) or nearly
    environment, audience, assertion = (next(iter(each), None) for each in (environments, audiences, asserted))
    return Requirements(scopes, environment, audience, assertion, is_mistaken)


def _can_be_asserted(audience: str) -> bool:
    return 0 < len(audience) <= MAX_TEXT and audience.isprintable() and can_assert()


def _is_nearly_ours(name: str) -> bool:
    return bool(get_close_matches(name[:64].lower(), PARAMETERS, n=1, cutoff=0.8))


def _warn_operators() -> None:
    """Warn operators of a misconfigured gateway, at most once a minute, because any client can cause it."""
    now = time.monotonic()
    if now >= _log.due:
        _log.due = now + WARN_EVERY
        logger.warning("misconfigured: a gateway sends an invalid query, so every request through it is refused")


class _Log:
    due = 0.0


_log: Final = _Log()
