"""`/gateway/auth` of a started portal: what a gateway asks, and the only answers that it gets."""

import random
import string

import pytest

from tests.oauth_client import ClientKey, OAuthClient, basic
from tests.portal import Answer, Portal
from tests.staleness import wait_until_refused
from vault.secret_format import new_secret

OWNER = "gateway@example.com"
IDENTITY = (
    "x-keyportal-key",
    "x-keyportal-owner",
    "x-keyportal-scopes",
    "x-keyportal-environment",
    "x-keyportal-kind",
    "x-keyportal-assertion",
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture(scope="module")
def owner(portal: Portal) -> str:
    portal.shell("Scope.objects.get_or_create(name='gate:read', defaults={'description': 'g'})")
    return portal.make_developer(OWNER)


@pytest.fixture(scope="module")
def client(portal: Portal, owner: str) -> ClientKey:
    return ClientKey(*portal.make_key(OWNER, "--scope", "gate:read", "--environment", "test"))


def forward_auth(
    portal: Portal, credential: str | None, path: str = "/gateway/auth", method: str = "GET", **more: str
) -> Answer:
    bearer = {} if credential is None else {"Authorization": f"Bearer {credential}"}
    answer = portal.request(method, path, headers={**more, **bearer})
    assert answer.body == b""
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.headers["x-request-id"]) == 32
    return answer


@pytest.mark.conformance("FA-01")
@pytest.mark.conformance("FA-11")
def test_a_good_credential_is_200_with_its_identity(
    portal: Portal, oauth_client: OAuthClient, client: ClientKey, owner: str
) -> None:
    answer = forward_auth(portal, client.secret)
    assert (answer.status, answer.headers["content-length"]) == (200, "0")
    expected = (client.id, owner, "gate:read", "test", "api_key", "")
    assert tuple(answer.headers[name] for name in IDENTITY) == expected
    of_key = forward_auth(portal, oauth_client.client_token(client))
    assert tuple(of_key.headers[name] for name in IDENTITY) == (*expected[:-2], "access_token", "")
    of_user = forward_auth(portal, oauth_client.log_in(OWNER)["access_token"])
    assert of_user.headers["x-keyportal-key"] == ""
    assert [name in of_user.headers for name in IDENTITY] == [True] * len(IDENTITY)


@pytest.mark.conformance("FA-02")
def test_no_or_a_bad_credential_is_401_with_a_challenge(
    portal: Portal, oauth_client: OAuthClient, client: ClientKey
) -> None:
    plain = forward_auth(portal, None)
    assert (plain.status, plain.headers["www-authenticate"]) == (401, 'Bearer realm="keyportal"')
    refresh_token = oauth_client.log_in(OWNER)["refresh_token"]
    for bad in ("x", new_secret("kp", "live"), client.secret[:-1], refresh_token, "a.b.c", "", f"{client.secret} x"):
        answer = forward_auth(portal, bad)
        assert answer.status == 401
        assert "error=" in answer.headers["www-authenticate"]
        assert not [name for name in IDENTITY if name in answer.headers]


@pytest.mark.conformance("FA-02")
def test_what_the_location_asks_for_must_be_there(portal: Portal, client: ClientKey) -> None:
    path = "/gateway/auth?"
    assert forward_auth(portal, client.secret, f"{path}scope=gate:read&environment=test").status == 200
    for query in ("scope=gate:write", "scope=gate:read&scope=gate:write", "scope=gate:read+x", "environment=live"):
        assert forward_auth(portal, client.secret, path + query).status == 403, query
    for query in ("scopes=gate:read", "{args[0]}", "scope=gate:read&x=y", "environment=x"):
        assert forward_auth(portal, client.secret, path + query).status == 400, query
    lacking = forward_auth(portal, client.secret, f"{path}scope=gate:write")
    assert 'error="insufficient_scope"' in lacking.headers["www-authenticate"]
    assert 'scope="gate:write"' in lacking.headers["www-authenticate"]
    forged = forward_auth(portal, client.secret, f"{path}scope=x%22%0d%0aX-Keyportal-Owner:+admin")
    assert forged.status == 403
    assert "x-keyportal-owner" not in forged.headers


@pytest.mark.conformance("FA-05")
@pytest.mark.parametrize("method", METHODS)
def test_method_path_and_body_make_no_difference(portal: Portal, client: ClientKey, method: str) -> None:
    for path in ("/gateway/auth", "/gateway/auth/", "/gateway/auth/any/thing?x=y", "/gateway/auth/%00/..%2f"):
        assert forward_auth(portal, client.secret, path, method).status == 200
        assert forward_auth(portal, None, path, method).status == 401
    raw = f"{method} /gateway/auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n"
    assert portal.send_raw(raw.encode() + b"x" * 10).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("path", ["/gateway/authority", "/gateway/", "/gateway/auth2", "/gateway"])
def test_other_addresses_are_not_there(portal: Portal, client: ClientKey, path: str) -> None:
    assert portal.get(path, Authorization=f"Bearer {client.secret}").status == 404


@pytest.mark.conformance("FA-06")
@pytest.mark.conformance("FA-07")
@pytest.mark.conformance("FA-08")
@pytest.mark.parametrize("between", ["-", "_"])  # WSGI makes one of both
def test_nothing_that_a_client_sets_decides_or_comes_back(
    portal: Portal, client: ClientKey, owner: str, between: str
) -> None:
    names = {
        "X-Keyportal-Owner": "admin",
        "X-Keyportal-Scopes": "everything",
        "X-Forwarded-Uri": "/healthz",
        "X-Forwarded-Method": "OPTIONS",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-For": "127.0.0.1",
        "X-Original-URI": "/healthz",
        "X-HTTP-Method-Override": "OPTIONS",
        "Connection": "Authorization",
        "X-Request-ID": "x" * 32,
    }
    forged = {name.replace("-", between): value for name, value in names.items()}
    anonymous = forward_auth(portal, None, Cookie="sessionid=" + "a" * 43, **forged)
    assert anonymous.status == 401
    assert "x-keyportal-owner" not in anonymous.headers
    assert anonymous.headers["x-request-id"] != "x" * 32
    answer = forward_auth(portal, client.secret, **forged)
    assert answer.status in (200, 401)  # a proxy may take hop-by-hop headers off; then there is no credential
    if answer.status == 200:
        assert answer.headers["x-keyportal-owner"] == owner
        assert answer.headers["x-keyportal-scopes"] == "gate:read"
    assert portal.get("/gateway/auth", Authorization=basic(*client)).status == 401


@pytest.mark.conformance("FA-03")
def test_whatever_is_sent_the_answer_is_200_401_or_403(portal: Portal, client: ClientKey) -> None:
    chosen = random.Random(7)
    alphabet = [chr(code) for code in range(1, 256) if chr(code) not in "\r\n"]
    statuses = set()
    for _ in range(150):
        noise = "".join(chosen.choices(alphabet, k=chosen.randrange(60)))
        path = "".join(chosen.choices(string.printable[:94], k=chosen.randrange(30))).replace("#", "")
        value = chosen.choice([noise, f"Bearer {noise}", f"Bearer {client.secret}", f"Bearer {client.secret},{noise}"])
        head = f"{chosen.choice(METHODS)} /gateway/auth/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        answer = portal.send_raw(f"{head}Authorization: {value}\r\nX-Noise: {noise}\r\n\r\n".encode("latin-1"))
        statuses.add(int(answer.split()[1]))
    # 400: for a request that is no HTTP and reaches nobody.
    assert statuses <= {200, 400, 401, 403}


def test_two_credentials_are_none(portal: Portal, client: ClientKey) -> None:
    lines = f"Authorization: Bearer {client.secret}\r\n" * 2
    answer = portal.send_raw(f"GET /gateway/auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 401")
    assert b'error="invalid_request"' in answer


def test_a_revoked_key_is_refused_at_once(portal: Portal, owner: str) -> None:
    client = ClientKey(*portal.make_key(OWNER))
    assert {forward_auth(portal, client.secret).status for _ in range(8)} == {200}
    portal.revoke_key(client.id)
    wait_until_refused(lambda: forward_auth(portal, client.secret).status)


def test_no_secret_is_logged(portal: Portal, client: ClientKey) -> None:
    forward_auth(portal, client.secret, f"/gateway/auth/{client.secret}?scope={client.secret}")
    assert client.secret not in portal.log.read_text()
