"""What `/api/v1/verify` takes in its body, and that nothing is dropped that would have narrowed it. Over the wire.

Once in the usual form, which the HTTP server answers by itself, and once in an odd one, which Django answers.
"""

import json
import secrets
from typing import Any, Final

import pytest

from tests.oauth_client import ClientKey, OAuthClient, json_of
from tests.portal import Answer, Portal

pytestmark = [pytest.mark.finding("H4"), pytest.mark.finding("H10")]
ODD: Final = {"Accept": "application/json;q=0.9"}
FORMS: Final = [{}, ODD, {"Content-Type": "application/json; charset=UTF-8"}, {"Content-Type": "Application/JSON"}]
SECRET_TEXT: Final = "kp_live_4pasted0by1mistake"


@pytest.fixture(scope="module")
def owner(portal: Portal) -> str:
    email = f"members-{secrets.token_hex(4)}@example.com"
    portal.make_developer(email)
    return email


@pytest.fixture(scope="module")
def service(portal: Portal, owner: str) -> ClientKey:
    portal.shell("Scope.objects.get_or_create(name='members:read', defaults={'description': 'm'})")
    return ClientKey(*portal.make_key(owner, "--scope", "credentials:verify", "--restricted"))


@pytest.fixture(scope="module")
def shown(portal: Portal, service: ClientKey, owner: str) -> ClientKey:
    return ClientKey(*portal.make_key(owner, "--scope", "members:read"))


def post(portal: Portal, service: ClientKey, body: bytes, **headers: str) -> Answer:
    head = {"Content-Type": "application/json", "Authorization": f"Bearer {service.secret}", **headers}
    return portal.request("POST", "/api/v1/verify", headers=head, body=body)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"scope": "members:read"}, "ok"),
        ({"scopes": ["members:read"]}, "ok"),
        ({"scope": "members:write"}, "insufficient_scope"),
        ({"scope": " members:read  members:write "}, "insufficient_scope"),
        ({"scopes": ["members:read", "members:write"]}, "insufficient_scope"),
        ({"scope": "", "environment": "test"}, "wrong_environment"),
        ({"scope": None, "scopes": None, "environment": None, "client_ip": None}, "ok"),
    ],
)
def test_what_narrows_is_understood(
    portal: Portal, service: ClientKey, shown: ClientKey, form: dict[str, str], wanted: dict[str, Any], code: str
) -> None:
    answer = post(portal, service, json.dumps({"credential": shown.secret, **wanted}).encode(), **form)
    assert (answer.status, json_of(answer)["code"]) == (200, code)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.finding("H40")
def test_the_scope_that_lacks_is_named_and_no_secret_that_went_astray(
    portal: Portal, service: ClientKey, shown: ClientKey
) -> None:
    wanted = ["members:read", "members:write", SECRET_TEXT, "Not a name", "members:admin"]
    answer = post(portal, service, json.dumps({"credential": shown.secret, "scopes": wanted}).encode())
    assert json_of(answer)["about"]["scope"] == "members:write members:admin"
    assert SECRET_TEXT not in answer.body.decode()


@pytest.mark.parametrize("form", FORMS[:2])
@pytest.mark.parametrize(
    ("body", "pointer", "meant"),
    [
        ({"Scopes": ["a"]}, "/Scopes", "scopes"),
        ({"scop": "a"}, "/scop", "scope"),
        ({"enviroment": "live"}, "/enviroment", "environment"),
        ({"env": "live"}, "/env", "environment"),
        ({"client-ip": "192.0.2.1"}, "/client-ip", "client_ip"),
        ({"ip": "192.0.2.1"}, "/ip", "client_ip"),
        ({"aud": "https://reports.test"}, "/aud", "audience"),
        ({"token": "x"}, "/token", "credential"),
        ({"zzz": 1}, "/zzz", ""),
        ({SECRET_TEXT: 1}, "", ""),
        ({"x" * 5000: 1}, "", ""),
        ({"": 1}, "", ""),
    ],
)
def test_a_member_that_nobody_knows_is_400_with_the_name_that_was_meant(
    portal: Portal, service: ClientKey, shown: ClientKey, form: dict[str, str], body: object, pointer: str, meant: str
) -> None:
    asked = {"credential": shown.secret, **body} if isinstance(body, dict) else {}
    answer = post(portal, service, json.dumps(asked).encode(), **form)
    assert (answer.status, json_of(answer)["code"]) == (400, "validation")
    [error] = json_of(answer)["errors"]
    assert error["pointer"] == pointer
    assert (f"“{meant}”" in error["detail"]) == bool(meant)
    assert SECRET_TEXT not in answer.body.decode()


def test_of_many_mistakes_some_are_told(portal: Portal, service: ClientKey) -> None:
    answer = post(portal, service, json.dumps({f"scop{number}x": 1 for number in range(3000)}).encode())
    assert answer.status == 400
    assert 1 <= len(json_of(answer)["errors"]) <= 11


@pytest.mark.parametrize("form", FORMS[:2])
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scope": "a", "scopes": ["a"]}, "/scope"),
        ({"scopes": "members:write"}, "/scopes"),
        ({"scopes": ["a", 5]}, "/scopes/1"),
        ({"scopes": [""]}, "/scopes/0"),
        ({"scopes": {"a": "b"}}, "/scopes"),
        ({"scopes": ["a"] * 101}, "/scopes"),
        ({"scope": ["members:write"]}, "/scope"),
        ({"scope": True}, "/scope"),
        ({"environment": "Live"}, "/environment"),
        ({"environment": ["live"]}, "/environment"),
        ({"environment": ""}, "/environment"),
        ({"audience": ""}, "/audience"),
        ({"audience": ["https://reports.test"]}, "/audience"),
        ({"audience": "x" * 201}, "/audience"),
        ({"client_ip": ""}, "/client_ip"),
        ({"client_ip": 3221225985}, "/client_ip"),
        ({"credential": None}, "/credential"),
        ({"credential": ["x"]}, "/credential"),
        ({"credential": ""}, "/credential"),
        ({"credential": 10**400}, "/credential"),
    ],
)
def test_a_value_that_it_may_not_have_is_400(
    portal: Portal, service: ClientKey, form: dict[str, str], body: dict[str, Any], pointer: str
) -> None:
    answer = post(portal, service, json.dumps({"credential": "x", **body}).encode(), **form)
    assert (answer.status, json_of(answer)["code"]) == (400, "validation")
    assert pointer in [error["pointer"] for error in json_of(answer)["errors"]]


@pytest.mark.parametrize("form", FORMS[:2])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null x",
        b'{"credential": "x"} x',
        b'{"credential": "x"}\0',
        b'\xa0{"credential": "x"}',
        b'{"credential": "x", "scopes": ["members:write"], "scopes": []}',
        b'{"credential": "\\ud800"}',
        b'{"credential": "x", "environment": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"credential": NaN}',
        b'{"credential": "\xff"}',
        b"[" * 30_000,
        b'{"a":' * 10_000,
        b"9" * 5000,
    ],
)
def test_what_is_no_json_is_400(portal: Portal, service: ClientKey, form: dict[str, str], body: bytes) -> None:
    answer = post(portal, service, body, **form)
    assert (answer.status, json_of(answer)["code"]) == (400, "malformed_body")


@pytest.mark.parametrize("form", FORMS[:2])
@pytest.mark.parametrize("body", [b"[]", b'"text"', b"5", b"null", b"true"])
def test_json_that_is_no_object_is_400(portal: Portal, service: ClientKey, form: dict[str, str], body: bytes) -> None:
    answer = post(portal, service, body, **form)
    assert (answer.status, json_of(answer)["code"], json_of(answer)["errors"][0]["pointer"]) == (400, "validation", "")


@pytest.mark.parametrize("credential", ["\0", "x\0y", "🔑", "kp_live_\u202e", "a.b.c", " ", "\x7f", "x" * 8192])
def test_an_odd_credential_is_an_unknown_one(portal: Portal, service: ClientKey, credential: str) -> None:
    answer = post(portal, service, json.dumps({"credential": credential}).encode())
    assert (answer.status, json_of(answer)["valid"], json_of(answer)["code"]) == (200, False, "invalid_token")


@pytest.mark.parametrize("form", FORMS[:2])
@pytest.mark.parametrize(
    ("before", "after"), [(b"\xef\xbb\xbf", b""), (b"\n\t ", b" \r\n"), (b"\xef\xbb\xbf\n", b"\n"), (b"", b" " * 900)]
)
def test_spaces_around_it_are_nothing(
    portal: Portal, service: ClientKey, shown: ClientKey, form: dict[str, str], before: bytes, after: bytes
) -> None:
    body = before + json.dumps({"credential": shown.secret}, indent=2).encode() + after
    assert json_of(post(portal, service, body, **form))["valid"] is True


def test_what_is_wrong_with_the_request_is_said_before_the_body_is_read(
    portal: Portal, oauth_client: OAuthClient, service: ClientKey
) -> None:
    for headers, status, code in (
        ({"Authorization": ""}, 400, "malformed_request"),
        ({"Authorization": "Basic eDp5"}, 401, "missing_credential"),
        ({"Authorization": "Bearer x"}, 401, "invalid_token"),
        ({"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        ({"Content-Type": ""}, 415, "unsupported_media_type"),
        ({"Accept": "text/html"}, 406, "not_acceptable"),
    ):
        answer = post(portal, service, b"{", **headers)
        assert (answer.status, json_of(answer)["code"]) == (status, code)
    query = portal.request("POST", f"/api/v1/verify?access_token={service.secret}", headers={}, body=b"{}")
    assert query.status == 401
    assert portal.get("/api/v1/verify").status == 405
    assert oauth_client.post("/api/v1/verify/", {"credential": "x"}).status == 401
