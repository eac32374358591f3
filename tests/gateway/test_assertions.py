"""The signed identity: for one service and a minute, and no credential anywhere."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import urlencode

import jwt
import pytest
import time_machine
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from apikeys.models import APIKey
from gateway.forward_auth import PATH, ForwardAuthRequest, decide
from integrity.rings import signing_ring
from tests.conftest import ORIGIN, MakeKey
from tests.gateway.test_asking import ASKER
from tests.oauth_client import FORM
from tests.signing_keys import KEYS
from tokens.services import issue_to_user

pytestmark = pytest.mark.django_db
NOW: Final = datetime(2026, 11, 29, 12, 0, 0, tzinfo=timezone(timedelta(0)))
SERVICE: Final = "https://reports.example.com"
PORTAL: Final = "https://portal.test"


@pytest.fixture(autouse=True)
def travel() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def identity_headers(credential: str, query: str = f"aud={SERVICE}") -> dict[str, str]:
    status, headers = decide(ForwardAuthRequest(f"Bearer {credential}", query, PATH, None))
    assert status == 200
    return dict(headers)


def asserted(credential: str, query: str = f"aud={SERVICE}") -> str:
    return identity_headers(credential, query)["X-Keyportal-Assertion"]


def read(assertion: str, audience: str = SERVICE) -> dict[str, Any]:
    """Return the claims, checked as a service does: by the public keys alone."""
    header = jwt.get_unverified_header(assertion)
    (key,) = (key for key in signing_ring().public_set()["keys"] if key["kid"] == header["kid"])
    allowed = ["ES256", "EdDSA", "RS256"]
    claims: dict[str, Any] = jwt.decode(
        assertion, jwt.PyJWK(key).key, algorithms=allowed, audience=audience, options={"verify_exp": False}
    )
    return claims


def test_an_assertion_says_whose_the_credential_is(make_key: MakeKey, developer: User, scopes: list[Any]) -> None:
    key, secret = make_key(scopes=["reports:read", "reports:write"])
    assertion = asserted(secret)
    assert jwt.get_unverified_header(assertion)["typ"] == "keyportal-assertion+jwt"
    claims = read(assertion)
    assert claims.pop("jti").startswith("asr_")
    now = int(NOW.timestamp())
    assert claims == {
        "iss": PORTAL,
        "aud": SERVICE,
        "sub": f"key:{key.pk}",
        "owner": developer.pk,
        "client_id": key.pk,
        "kind": "api_key",
        "scope": "reports:read reports:write",
        "environment": "live",
        "iat": now,
        "exp": now + 60,
    }


def test_the_assertion_of_a_log_in_is_about_the_user(developer: User) -> None:
    token = issue_to_user(user=developer, scopes=None, agent="test", origin=ORIGIN).access_token
    claims = read(asserted(token))
    assert (claims["sub"], claims["client_id"], claims["kind"]) == (f"user:{developer.pk}", "portal", "access_token")


def test_it_is_signed_for_a_credential_and_not_for_each_request(make_key: MakeKey, travel: Any) -> None:
    (_, secret), (_, other) = make_key(), make_key()
    first = asserted(secret)
    assert asserted(other) != first
    assert asserted(secret, "aud=another") != first
    for seconds, is_same in ((29, True), (30, False), (59, False)):
        travel.move_to(NOW + timedelta(seconds=seconds))
        assert (asserted(secret) == first) is is_same
        assert read(asserted(secret))["exp"] - (NOW.timestamp() + seconds) >= 30


def test_it_ends_no_later_than_the_credential(make_key: MakeKey) -> None:
    _, secret = make_key(expires_at=NOW + timedelta(seconds=20))
    assert read(asserted(secret))["exp"] == int(NOW.timestamp()) + 20


def test_a_change_of_the_key_is_asserted_at_once(make_key: MakeKey, scopes: list[Any]) -> None:
    key, secret = make_key(scopes=["reports:read"])
    before = asserted(secret)
    key.scopes = "reports:write"
    key.save(update_fields=["scopes"])
    assert read(asserted(secret))["scope"] == "reports:write"
    assert asserted(secret) != before


def test_a_gateway_that_wants_none_gets_an_empty_header(make_key: MakeKey) -> None:
    """So that it overwrites what a client sent."""
    _, secret = make_key()
    assert identity_headers(secret, "")["X-Keyportal-Assertion"] == ""


@pytest.mark.parametrize(
    "query", ["aud=", "aud=a&aud=b", f"aud={'a' * 300}", "aud=%00", "aud=a%0d%0ab", "aud=%E2%80%AEa"]
)
def test_an_odd_audience_is_a_mistake(make_key: MakeKey, query: str) -> None:
    _, secret = make_key()
    assert decide(ForwardAuthRequest(f"Bearer {secret}", query, PATH, None))[0] == 400


def test_a_client_behind_a_gateway_chooses_no_audience(make_key: MakeKey) -> None:
    _, secret = make_key()
    assert decide(ForwardAuthRequest(f"Bearer {secret}", f"aud={SERVICE}", f"{PATH}/any", None))[0] == 400


def verify(client: Client, service: str, **body: object) -> Any:
    headers = {"Authorization": f"Bearer {service}"}
    return client.post("/api/v1/verify", json.dumps(body), "application/json", secure=True, headers=headers)


def test_verify_gives_one_too_and_none_for_a_refused_credential(client: Client, make_key: MakeKey) -> None:
    (_, service), (key, secret) = make_key(**ASKER), make_key()
    answer = verify(client, service, credential=secret, assertion=SERVICE).json()
    assert read(answer["assertion"])["sub"] == f"key:{key.pk}"
    answers = verify(client, service, credentials=[secret, "nobody's"], assertion=SERVICE).json()["results"]
    assert [bool(one["assertion"]) for one in answers] == [True, False]
    refused = verify(client, service, credential=secret, assertion=SERVICE, environment="test").json()
    assert (refused["valid"], refused["assertion"]) == (False, None)


def test_with_a_shared_key_nothing_is_asserted(client: Client, make_key: MakeKey, settings: Settings) -> None:
    """Whoever could check it could sign one."""
    (_, service), (_, secret) = make_key(**ASKER), make_key()
    settings.KEYPORTAL_SIGNING_KEYS = json.dumps(KEYS["HS256"])
    answer = verify(client, service, credential=secret, assertion=SERVICE)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/assertion")
    assert verify(client, service, credential=secret).json()["valid"]
    of_its_own = "aud=asked-for-in-no-other-test"  # how a query was read is remembered
    assert decide(ForwardAuthRequest(f"Bearer {secret}", of_its_own, PATH, None))[0] == 400


def test_an_assertion_is_no_credential(client: Client, make_key: MakeKey) -> None:
    (_, service), (_, secret) = make_key(**ASKER), make_key(scopes=["keys:read", "keys:write"])
    assertion = asserted(secret, f"aud={PORTAL}")
    headers = {"Authorization": f"Bearer {assertion}"}
    for path in ("/api/v1/me", "/api/v1/keys", "/api/v1/changes"):
        assert client.get(path, secure=True, headers=headers).status_code == 401
    assert client.delete("/api/v1/tokens", secure=True, headers=headers).status_code == 401
    assert decide(ForwardAuthRequest(f"Bearer {assertion}", f"audience={PORTAL}", PATH, None))[0] == 401
    answer = verify(client, service, credential=assertion, audience=PORTAL).json()
    assert (answer["valid"], answer["code"]) == (False, "invalid_token")
    form = {"token": assertion}
    introspected = client.post(
        "/oauth/introspect", urlencode(form), FORM, secure=True, headers={"Authorization": f"Bearer {service}"}
    )
    assert introspected.json() == {"active": False}
    refreshed = client.post("/api/v1/tokens/refresh", {"refresh_token": assertion}, "application/json", secure=True)
    assert refreshed.status_code in (400, 401)
    assert client.get("/api/v1/me", secure=True, headers={"X-Keyportal-Assertion": assertion}).status_code == 401
    assert APIKey.objects.count() == 2
