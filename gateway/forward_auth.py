"""Forward-auth, `/gateway/auth`: a gateway asks before each request whether its credential is good.

For nginx `auth_request`, Caddy `forward_auth`, Traefik ForwardAuth, Envoy `ext_authz`. Answered before Django's request
cycle, by the same verification as everywhere else: in the event loop where memory knows (`decide_at_once`), else by a
thread (`decide`). 200, 400, 401, 403, 429 and 503 are all there is, with an empty body. Nothing that a client can set
decides: not the method, the path behind it, the body, nor a forwarded header of a peer that is not trusted.
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

from credentials.admission import admit
from credentials.bearer import token_of
from credentials.client_address import Address
from credentials.credential import Credential
from credentials.freshness import freshness
from credentials.quota import Quota
from credentials.recall import Recall, WouldBlockError, recall, remembered
from credentials.refusals import Refusal, RefusedError, refused
from gateway.verdict import verdict
from vault.errors import VaultError

logger = logging.getLogger(__name__)

Headers = Sequence[tuple[str, str]]
"""A tuple where they are the same for the next question about this credential."""

KNOWN: Final = frozenset({"scope", "environment", "audience", "deny"})
"""What a gateway's configuration may ask for."""
ENVIRONMENTS: Final = frozenset({"live", "test"})
LONGEST_KEPT: Final = 512
"""Characters of a query that is kept in memory, as it was read."""
BELOW: Final = "/…"
MOST_COMPARED: Final = 8
TOLD: Final = 60.0  # seconds between two lines of the log about a mistake
DOOR: Final = "forward_auth"
PATH: Final = "/gateway/auth"
NEVER_STORED: Final = ("Cache-Control", "no-store")
"""What every answer has."""
UNAVAILABLE: Final[tuple[HTTPStatus, Headers]] = (HTTPStatus.SERVICE_UNAVAILABLE, [("Retry-After", "2")])


class Question(NamedTuple):
    """What a gateway asks."""

    authorization: str | None
    """The Authorization header; of several lines all, joined by commas."""
    query: str
    path: str
    """`/gateway/auth`: then the query is the gateway's own; or something below it."""
    address: Address | None
    """Where the credential was shown."""


class Wanted(NamedTuple):
    """What the gateway's configuration asks for, in the query."""

    scopes: tuple[str, ...]
    environment: str | None
    audience: str | None
    is_mistaken: bool
    """Whether there is a mistake in it: then nobody gets in."""


def is_asked(path: str) -> bool:
    """Return whether a path is `/gateway/auth` or lies below it."""
    return path.startswith(PATH) and path[len(PATH) : len(PATH) + 1] in ("", "/")


def decide(question: Question) -> tuple[HTTPStatus, Headers]:
    """Return status and headers for a question; 503 for whatever goes wrong here, never a good answer."""
    try:
        freshness.confirm_rings()
        return _decided(question, by=recall)
    except (DatabaseError, InterfaceError, VaultError):
        connection.close()
        logger.exception("unavailable")
    except Exception:  # a gateway must get an answer, and it must not be a good one
        logger.exception("forward-auth broke")
    return UNAVAILABLE


def decide_at_once(question: Question) -> tuple[HTTPStatus, Headers]:
    """Return what `decide` would, from memory. Raises `WouldBlockError` where that does not know."""
    return _decided(question, by=remembered)


def _decided(question: Question, *, by: Recall) -> tuple[HTTPStatus, Headers]:
    try:
        credential, quota = _verified(question, by)
    except RefusedError as error:
        if by is not recall and not freshness.glance():
            raise WouldBlockError from None  # nobody knows yet whether anything can be said
        return _refusal(error.refusal, question.query)
    identity = _identity(credential)
    return HTTPStatus.OK, [*identity, *quota.headers().items()] if quota else identity


def _verified(question: Question, by: Recall) -> tuple[Credential, Quota | None]:
    wanted, address = _wanted(question), question.address
    if wanted.is_mistaken:
        raise refused("misconfigured")
    text = token_of(question.authorization)  # the query is the gateway's, not the client's
    if text is None:
        raise refused("missing_credential")
    record, quota = admit(
        lambda: verdict(
            text,
            address=address,
            environment=wanted.environment,
            scopes=wanted.scopes,
            audience=wanted.audience,
            by=by,
        ),
        door=DOOR,
        address=address,
        may_block=by is recall,
    )
    return record.credential, quota


@lru_cache(maxsize=4096)
def _identity(credential: Credential) -> tuple[tuple[str, str], ...]:
    """Return the headers that the gateway passes on. Every one is there each time, so that it overwrites a client's."""
    return (
        ("X-Keyportal-Key", credential.key_id),
        ("X-Keyportal-Owner", credential.owner_id),
        ("X-Keyportal-Scopes", " ".join(sorted(credential.scopes))),
        ("X-Keyportal-Environment", credential.environment),
        ("X-Keyportal-Kind", credential.kind),
    )


def _refusal(refusal: Refusal, query: str) -> tuple[HTTPStatus, Headers]:
    """Return 403 and 429 for what is that elsewhere too, 400 for a mistake of the gateway's own, and 401 for all else.

    `deny=403` makes 403 of 429, for nginx. The code tells a gateway which it was.
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


def _wanted(question: Question) -> Wanted:
    """Read the query, which is the same for every request of a location; a client's own may be of any length."""
    read = _read if len(question.query) <= LONGEST_KEPT else _read.__wrapped__
    behind = question.path[len(PATH) :]
    return read(question.query, behind if behind in ("", "/") else BELOW)


@lru_cache(maxsize=1024)
def _read(query: str, behind: str) -> Wanted:
    """Read a query. `behind` says how the path goes on behind `/gateway/auth`: not, by a slash, or by more.

    Behind a longer path it may be the client's (Envoy appends path and query): names that we don't know are ignored,
    and no audience can be asked for, which would let tokens for others in. On the path itself somebody wrote it into a
    configuration, and a name that we don't know is a mistake that would open what it was meant to close. With a slash
    at its end it may be either: there a name is a mistake that is nearly one of ours.
    """
    asked = parse_qs(query, keep_blank_values=True)
    environments, audiences = asked.get("environment", []), asked.get("audience", [])
    scopes = tuple(name for text in asked.get("scope", []) for name in text.split(" "))
    # Two environments can't both be right, nor two audiences.
    is_mistaken = "" in scopes or "" in audiences or max(len(environments), len(audiences)) > 1
    is_mistaken = is_mistaken or not ENVIRONMENTS.issuperset(environments)
    unknown = asked.keys() - KNOWN
    if not behind:
        is_mistaken = is_mistaken or bool(unknown) or asked.get("deny", ["403"]) != ["403"]
        if is_mistaken:
            _tell()
    else:
        nearly = behind == "/" and any(map(_is_nearly_ours, list(unknown)[:MOST_COMPARED]))
        is_mistaken = is_mistaken or bool(audiences) or nearly
    return Wanted(scopes, next(iter(environments), None), next(iter(audiences), None), is_mistaken)


def _is_nearly_ours(name: str) -> bool:
    return bool(get_close_matches(name[:64].lower(), KNOWN, n=1, cutoff=0.8))


def _tell() -> None:
    """Tell operators of a mistake, once in a while: anybody can ask here."""
    now = time.monotonic()
    if now >= _log.due:
        _log.due = now + TOLD
        logger.warning("misconfigured: a gateway asks with a query that has a mistake, and nobody gets in by it")


class _Log:
    due = 0.0


_log: Final = _Log()
