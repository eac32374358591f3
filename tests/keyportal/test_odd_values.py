"""Every endpoint for machines × every member × odd values, and every header × odd bytes, over the wire.

Nothing is a 5xx, every answer can be read, and no answer and no line of the log repeats what was sent.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote_from_bytes

import pytest

from tests.databases import portal_database
from tests.oauth_client import PASSWORD, ClientKey, basic
from tests.odd import BYTES, HEADERS, MARK, VALUES, misspelt
from tests.portal import FORM, Portal
from tests.wire import Reply, Wire

pytestmark = [pytest.mark.finding("H10"), pytest.mark.once]
WIDE: Final = {
    f"KEYPORTAL_LIMIT_{name}": "1000000 per hour"
    for name in ("CLIENT", "CLIENT_ADDRESS", "LOGIN_ADDRESS", "LOGIN_PLACE", "TOKENS", "REVOCATIONS", "MISSES")
}
POSTED: Final = ("/api/v1/verify", "/api/v1/tokens", "/oauth/token")
PATHS: Final = (*POSTED, "/api/v1/me", "/gateway/auth", "/healthz", "/metrics", "/.well-known/jwks.json")
PAGES: Final = ("/accounts/login/", "/")


class Endpoint(NamedTuple):
    """An address with a body, and what it takes."""

    path: str
    members: tuple[str, ...]
    form: bool


OF_A_GRANT: Final = ("grant_type", "scope", "resource", "refresh_token")
ENDPOINTS: Final = [
    Endpoint("/api/v1/verify", ("credential", "scope", "scopes", "environment", "audience", "client_ip"), form=False),
    Endpoint("/api/v1/tokens", ("scope", "scopes", "resource"), form=False),
    Endpoint("/api/v1/tokens/refresh", ("refresh_token", "scope", "scopes", "resource"), form=False),
    Endpoint("/oauth/token", (*OF_A_GRANT, "client_id", "client_secret"), form=True),
    Endpoint("/oauth/revoke", ("token", "token_type_hint", "client_id", "client_secret"), form=True),
    Endpoint(
        "/oauth/introspect",
        ("token", "token_type_hint", "client_ip", "audience", "client_id", "client_secret"),
        form=True,
    ),
]
GOOD: Final = {"credential": "x", "grant_type": "client_credentials", "token": "x"}


@pytest.fixture(scope="module")
def open_portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal whose limits let a sweep through."""
    folder: Path = tmp_path_factory.mktemp("odd")
    with portal_database(folder) as url:
        portal = Portal(folder, url, **WIDE)
        with portal.running():
            yield portal


@pytest.fixture(scope="module")
def service(open_portal: Portal) -> ClientKey:
    open_portal.make_developer("odd@example.com")
    return ClientKey(*open_portal.make_key("odd@example.com", "--scope", "credentials:verify", "--restricted"))


def ask(portal: Portal, raw: bytes) -> Reply:
    wire = Wire(portal.port)
    try:
        return wire.send(raw).half_close().reply()
    finally:
        wire.close()


def fault_of(reply: Reply, *, is_page: bool = False) -> str:
    """Return what is wrong with an answer; nothing if nothing is. A page may lead back to where the browser was."""
    if reply.status >= 500:
        return f"status {reply.status}"
    if is_page:
        return ""
    whole = reply.body.decode() + str(reply.headers)
    if MARK in whole or "X-Injected" in whole:
        return "repeats what was sent"
    if "json" in reply.header("content-type"):
        json.loads(reply.body)
    return ""


def log_is_clean(portal: Portal) -> bool:
    log = portal.log.read_text()
    return MARK not in log and "Traceback" not in log


def post(portal: Portal, endpoint: Endpoint, body: bytes, authorization: str) -> Reply:
    kind = FORM if endpoint.form else "application/json"
    head = f"POST {endpoint.path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return ask(portal, f"{head}Authorization: {authorization}\r\n\r\n".encode() + body)


def as_form(fields: dict[str, Any]) -> bytes:
    def text(value: Any) -> str:
        raw = value if isinstance(value, str) else json.dumps(value)
        return quote_from_bytes(raw.encode(errors="surrogatepass"))

    return "&".join(f"{text(name)}={text(value)}" for name, value in fields.items()).encode()


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_every_member_with_odd_values_and_misspelt_names(
    open_portal: Portal, service: ClientKey, endpoint: Endpoint
) -> None:
    authorization = {
        "/api/v1/verify": f"Bearer {service.secret}",
        "/api/v1/tokens": basic("odd@example.com", PASSWORD),
    }.get(endpoint.path, basic(service.id, service.secret))
    good = {name: GOOD[name] for name in endpoint.members if name in GOOD}
    bodies = [{**good, member: value} for member in endpoint.members for value in VALUES]
    bodies += [{**good, name: MARK} for member in endpoint.members for name in misspelt(member)]
    raw = [as_form(body) if endpoint.form else json.dumps(body).encode() for body in bodies] + BYTES
    answers = [(body[:80], post(open_portal, endpoint, body, authorization)) for body in raw]
    assert [(body, fault) for body, reply in answers if (fault := fault_of(reply))] == []
    understood = 400 if "refresh" in endpoint.path else 200  # nobody has a refresh token here
    assert {400, understood} <= {reply.status for _, reply in answers}
    assert log_is_clean(open_portal)


@pytest.mark.parametrize("path", [*PATHS, *PAGES])
def test_every_header_with_odd_bytes(open_portal: Portal, service: ClientKey, path: str) -> None:
    faults = []
    for name in HEADERS:
        for value in BYTES:
            host = b"" if name == "Host" else b"Host: 127.0.0.1\r\n"
            top = f"{'POST' if path in POSTED else 'GET'} {path} HTTP/1.1\r\n".encode()
            reply = ask(open_portal, top + host + f"{name}: ".encode() + value + b"\r\n\r\n")
            if fault := fault_of(reply, is_page=path in PAGES):
                faults.append((name, value[:20], fault))
    assert faults == []
    assert log_is_clean(open_portal)


@pytest.mark.parametrize("path", [*PATHS, *PAGES])
def test_every_path_and_query_with_odd_bytes(open_portal: Portal, path: str) -> None:
    faults = []
    for value in BYTES:
        quoted = quote_from_bytes(value).encode()
        for target in (
            b"/" + value,
            b"/" + quoted,
            b"?scope=" + quoted,
            b"?" + value,
            b"?%zz=" + value + b"&a=" + quoted,
        ):
            reply = ask(open_portal, b"GET " + path.encode() + target + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            if fault := fault_of(reply, is_page=path in PAGES):
                faults.append((target[:40], fault))
    assert faults == []
    assert log_is_clean(open_portal)
