"""Forward-auth and verify without a server between: the verdict, and what happens when something breaks."""

import json
import logging
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from credentials.models import Scope
from gateway.forward_auth import PATH, decide, with_forward_auth
from tests.conftest import MakeKey

pytestmark = pytest.mark.django_db


def asked(credential: str | None, query: str = "", path: str = PATH, **more: str) -> dict[str, Any]:
    environ: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": query, "REMOTE_ADDR": "192.0.2.7", **more}
    if credential is not None:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {credential}"
    return environ


def test_the_identity_is_the_credential_s(make_key: MakeKey, scopes: list[Scope]) -> None:
    key, secret = make_key(scopes=["reports:read"], networks=["192.0.2.0/24"])
    status, headers = decide(asked(secret, "scope=reports:read&environment=live"))
    assert status == 200
    assert dict(headers)["X-Keyportal-Key"] == key.pk
    assert dict(headers)["X-Keyportal-Scopes"] == "reports:read"
    assert decide(asked(secret, REMOTE_ADDR="198.51.100.1"))[0] == 403
    for query in ("scope=reports:write", "environment=test", "environment=", "scopes=x"):
        assert decide(asked(secret, query))[0] == 403
    assert decide(asked(secret, "whatever=a+client&sends=it", path=f"{PATH}/a/path"))[0] == 200


def test_a_bad_credential_is_401_and_tells_how_to_send_a_good_one() -> None:
    for credential in (None, "x", "kp_live_x", "a.b.c", "two words"):
        status, headers = decide(asked(credential))
        assert (status, "Bearer realm=" in dict(headers)["WWW-Authenticate"]) == (401, True)


@pytest.mark.conformance("FA-04")
@pytest.mark.parametrize("error", [OperationalError("gone"), RuntimeError("broken")])
def test_what_breaks_is_503_and_never_good(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("gateway.forward_auth.verdict", fail)
    monkeypatch.setattr(connection, "close", lambda: None)
    with caplog.at_level(logging.ERROR):
        status, headers = decide(asked("x"))
    assert (status, dict(headers)["Retry-After"]) == (503, "2")
    assert caplog.records


def test_everything_else_goes_on_to_the_application(make_key: MakeKey) -> None:
    _, secret = make_key()
    passed: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        passed.append(environ["PATH_INFO"])
        return [b"django"]

    answers: list[tuple[str, list[tuple[str, str]]]] = []
    app = with_forward_auth(application)
    for path in (PATH, f"{PATH}/", f"{PATH}/x", f"{PATH}x", "/gateway", "/"):
        app(asked(secret, path=path), lambda status, headers: answers.append((status, headers)))
    assert [status for status, _ in answers] == ["200 OK"] * 3
    assert dict(answers[0][1])["Content-Length"] == "0"
    assert passed == [f"{PATH}x", "/gateway", "/"]


def test_verify_gives_the_verdict(client: Client, make_key: MakeKey, scopes: list[Scope]) -> None:
    _, service = make_key(scopes=["credentials:verify"], restricted=True)
    key, secret = make_key(scopes=["reports:read"])

    def ask(**body: object) -> dict[str, Any]:
        answer = client.post(
            "/api/v1/verify",
            json.dumps(body),
            "application/json",
            secure=True,
            headers={"Authorization": f"Bearer {service}"},
        )
        told: dict[str, Any] = json.loads(answer.content)
        return {"status": answer.status_code, **told}

    good = ask(credential=secret, scopes=["reports:read"])
    assert (good["valid"], good["credential"]["id"]) == (True, key.pk)
    assert ask(credential=secret, scopes=["reports:write"])["code"] == "insufficient_scope"
    assert ask(credential="x")["code"] == "invalid_token"
    assert ask()["status"] == 400
