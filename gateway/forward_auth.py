"""Forward-auth, `/gateway/auth`: a gateway asks before each request whether its credential is good.

For nginx `auth_request`, Caddy `forward_auth`, Traefik ForwardAuth, Envoy `ext_authz`. Answered in the WSGI callable,
without Django's request cycle, by the same verification as everywhere else. 200, 401, 403, 429 and 503 are all there
is, with an empty body. Nothing that a client can set decides: not the method, the path behind it, the body, nor a
forwarded header of a peer that is not trusted.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from django.db import DatabaseError, InterfaceError, connection

from accounts.canaries import rings_confirmed
from credentials.admission import admit
from credentials.bearer import token_of
from credentials.client_address import client_address, request_id_of
from credentials.credential import Credential
from credentials.quota import Quota
from credentials.refusals import Refusal, RefusedError, refused
from gateway.verdict import verdict
from vault.errors import VaultError

logger = logging.getLogger(__name__)

Headers = list[tuple[str, str]]
StartResponse = Callable[[str, Headers], object]
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

NOBODY: Final = "none"
"""An environment that no credential has."""
DOOR: Final = "forward_auth"
PATH: Final = "/gateway/auth"
RETRY_AFTER: Final = "2"  # seconds
STATUS_LINES: Final = {status: f"{status.value} {status.phrase}" for status in HTTPStatus}
EVERY: Final[Headers] = [("Content-Length", "0"), ("Cache-Control", "no-store")]


class Wanted(NamedTuple):
    """What the gateway's configuration asks for, in the query."""

    scopes: tuple[str, ...]
    environment: str | None


def with_forward_auth(application: Application) -> Application:
    """Give an application that answers `/gateway/auth` itself and passes everything else on."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if not path.startswith(PATH) or path[len(PATH) :][:1] not in ("", "/"):
            return application(environ, start_response)
        status, headers = decide(environ)
        headers += [*EVERY, ("X-Request-ID", request_id_of(environ))]
        start_response(STATUS_LINES[status], headers)
        return ()

    return answer


def decide(environ: Mapping[str, Any]) -> tuple[HTTPStatus, Headers]:
    """Give status and headers for a request; 503 for whatever goes wrong here, never a good answer."""
    try:
        credential, quota = _verified(environ)
        return HTTPStatus.OK, _identity(credential, quota)
    except RefusedError as error:
        return _refusal(error.refusal, environ.get("QUERY_STRING", ""))
    except (DatabaseError, InterfaceError, VaultError):
        connection.close()
        logger.exception("unavailable")
    except Exception:  # a gateway must get an answer, and it must not be a good one
        logger.exception("forward-auth broke")
    return HTTPStatus.SERVICE_UNAVAILABLE, [("Retry-After", RETRY_AFTER)]


def _verified(environ: Mapping[str, Any]) -> tuple[Credential, Quota | None]:
    rings_confirmed()
    text = token_of(environ.get("HTTP_AUTHORIZATION"))  # the query is the gateway's, not the client's
    if text is None:
        raise refused("missing_credential")
    wanted = _wanted(environ.get("QUERY_STRING", ""), environ["PATH_INFO"] == PATH)
    address = client_address(environ)
    record, quota = admit(
        lambda: verdict(text, address=address, environment=wanted.environment, scopes=wanted.scopes),
        door=DOOR,
        address=address,
    )
    return record.credential, quota


def _identity(credential: Credential, quota: Quota | None) -> Headers:
    """Give the headers that the gateway passes on. Every one is there each time, so that it overwrites a client's."""
    return [
        ("X-Keyportal-Key", credential.key_id),
        ("X-Keyportal-Owner", credential.owner_id),
        ("X-Keyportal-Scopes", " ".join(sorted(credential.scopes))),
        ("X-Keyportal-Environment", credential.environment),
        ("X-Keyportal-Kind", credential.kind),
        *(quota.headers().items() if quota else ()),
    ]


def _refusal(refusal: Refusal, query: str) -> tuple[HTTPStatus, Headers]:
    """Give 403 and 429 for what is that elsewhere too, and 401 for all else. `deny=403` makes 403 of 429, for nginx.

    The code tells a gateway which it was.
    """
    status = HTTPStatus(refusal.reason.status)
    headers = [("X-Keyportal-Code", refusal.code), *refusal.headers.items()]
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        denied = "403" in parse_qs(query).get("deny", [])
        headers.append(("Retry-After", str(refusal.retry_after)))
        return HTTPStatus.FORBIDDEN if denied else status, headers
    headers.append(("WWW-Authenticate", refusal.challenge()))
    return HTTPStatus.FORBIDDEN if status == HTTPStatus.FORBIDDEN else HTTPStatus.UNAUTHORIZED, headers


@lru_cache(maxsize=1024)
def _wanted(query: str, is_ours: bool) -> Wanted:
    """Read the query, which is the same for every request of a location.

    Behind a longer path it may be the client's (Envoy appends path and query): names that we don't know are ignored. On
    the path itself somebody wrote it into a configuration, and a name that we don't know is a mistake that would open
    what it was meant to close: it refuses everybody.
    """
    asked = parse_qs(query, keep_blank_values=True)
    if is_ours and asked.keys() - {"scope", "environment", "deny"}:
        return Wanted((), NOBODY)
    environments = asked.get("environment", [])
    # Two environments can't both be right, nor none: either refuses every credential.
    environment = (environments[0] if len(environments) == 1 else "") or NOBODY if environments else None
    return Wanted(tuple(name for text in asked.get("scope", []) for name in text.split(" ")), environment)
