"""The token endpoint: RFC 6749 with RFC 9700."""

import base64
import json
import time
from typing import Any

import jwt
import pytest

from tests.oauth_client import FORGET_GUESSES, FORM, PASSWORD, ClientKey, OAuthClient, basic, is_oauth_answer, json_of
from tests.portal import Answer, Portal
from tests.staleness import wait_until_accepted
from vault.secret_format import new_id, new_secret

GRANT = {"grant_type": "client_credentials"}
OWNER = "oauth@example.com"


@pytest.fixture(scope="module")
def client(portal: Portal) -> ClientKey:
    portal.make_developer(OWNER)
    portal.shell(
        "Scope.objects.get_or_create(name='a:read', defaults={'description': 'a'}); "
        "Scope.objects.get_or_create(name='a:write', defaults={'description': 'a'}); "
        "Scope.objects.get_or_create(name='a:more', defaults={'description': 'a'})"
    )
    return ClientKey(*portal.make_key(OWNER, "--scope", "a:read", "--scope", "a:write"))


def payload(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


def is_error(answer: Answer, status: int, error: str) -> bool:
    is_oauth_answer(answer)
    assert (answer.status, json_of(answer)["error"]) == (status, error)
    return True


@pytest.mark.conformance("OT-01")
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE", "PATCH"])
def test_the_endpoint_takes_post_only(portal: Portal, client: ClientKey, method: str) -> None:
    headers = {"Authorization": basic(*client)}
    answer = portal.request(method, "/oauth/token?grant_type=client_credentials", headers=headers)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert b"access_token" not in answer.body


@pytest.mark.conformance("OT-02")
def test_parameters_stand_in_a_form_in_the_body(portal: Portal, oauth_client: OAuthClient, client: ClientKey) -> None:
    headers = {"Authorization": basic(*client), "Content-Type": "application/json"}
    assert is_error(portal.request("POST", "/oauth/token", headers=headers, body=b"{}"), 400, "invalid_request")
    in_query = oauth_client.form("/oauth/token?grant_type=client_credentials", {}, client=client)
    assert is_error(in_query, 400, "invalid_request")


@pytest.mark.conformance("OT-03")
@pytest.mark.conformance("OT-07")
@pytest.mark.parametrize("body", ["", "grant_type=", "foo=bar"])
def test_a_grant_type_is_needed(oauth_client: OAuthClient, client: ClientKey, body: str) -> None:
    assert is_error(oauth_client.token(body, client=client), 400, "invalid_request")


@pytest.mark.conformance("OT-04")
@pytest.mark.conformance("OT-05")
@pytest.mark.parametrize("grant", ["urn:x", "authorization_code", "implicit", "password", "CLIENT_CREDENTIALS"])
def test_other_grants_do_not_exist(oauth_client: OAuthClient, client: ClientKey, grant: str) -> None:
    owner = {"username": OWNER, "password": PASSWORD}
    assert is_error(oauth_client.token({"grant_type": grant, **owner}, client=client), 400, "unsupported_grant_type")


@pytest.mark.conformance("OT-06")
@pytest.mark.parametrize("twice", ["grant_type=client_credentials", "scope=a:read", "foo=bar"])
def test_no_parameter_stands_twice(oauth_client: OAuthClient, client: ClientKey, twice: str) -> None:
    body = f"grant_type=client_credentials&{twice}&{twice}"
    assert is_error(oauth_client.token(body, client=client), 400, "invalid_request")


@pytest.mark.conformance("OT-07")
@pytest.mark.conformance("OT-08")
@pytest.mark.conformance("OT-09")
@pytest.mark.conformance("OT-10")
@pytest.mark.conformance("OT-11")
@pytest.mark.conformance("JW-01")
@pytest.mark.conformance("JW-02")
@pytest.mark.conformance("JW-29")
def test_a_key_is_swapped_for_an_access_token(oauth_client: OAuthClient, client: ClientKey) -> None:
    before = int(time.time())
    answer = oauth_client.token("grant_type=client_credentials&scope=&foo=bar", client=client)
    after = int(time.time())
    is_oauth_answer(answer)
    body = json_of(answer)
    assert (answer.status, body["token_type"].lower(), body["scope"]) == (200, "bearer", "a:read a:write")
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
    claims = payload(body["access_token"])
    assert type(body["expires_in"]) is int
    assert claims["exp"] - claims["iat"] == body["expires_in"] == 600
    assert before <= claims["iat"] <= after
    assert answer.headers["pragma"] == "no-cache"
    header = jwt.get_unverified_header(body["access_token"])
    assert (header["typ"], header["alg"], bool(header["kid"])) == ("at+jwt", "ES256", True)
    assert claims.keys() >= {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"}
    assert "@" not in str(claims)
    assert client.secret not in str(claims)
    assert oauth_client.me(body["access_token"]).status == 200


@pytest.mark.conformance("OT-12")
@pytest.mark.conformance("OT-13")
def test_a_client_gets_the_scopes_that_it_asks_for_within_its_own(oauth_client: OAuthClient, client: ClientKey) -> None:
    narrow = json_of(oauth_client.token({**GRANT, "scope": "a:read"}, client=client))
    assert narrow["scope"] == payload(narrow["access_token"])["scope"] == "a:read"
    for order in ("a:write a:read", "a:read a:write", "a:read a:write a:read"):
        assert json_of(oauth_client.token({**GRANT, "scope": order}, client=client))["scope"] == "a:read a:write"


@pytest.mark.conformance("OT-12")
@pytest.mark.conformance("OT-13")
@pytest.mark.parametrize(
    "scope", ["a:more", "a:read a:more", "A:READ", 'a"b', "a\\b", "a\0b", "é", "a:read  x", "\ud7ff"]
)
def test_other_scopes_are_refused(oauth_client: OAuthClient, client: ClientKey, scope: str) -> None:
    assert is_error(oauth_client.token({**GRANT, "scope": scope}, client=client), 400, "invalid_scope")


@pytest.mark.conformance("OT-15")
def test_a_secret_in_the_address_is_refused_and_not_logged(
    portal: Portal, oauth_client: OAuthClient, client: ClientKey
) -> None:
    address = f"/oauth/token?client_id={client.id}&client_secret={client.secret}"
    assert is_error(oauth_client.form(address, GRANT), 400, "invalid_request")
    assert client.secret not in portal.log.read_text()


@pytest.mark.conformance("OT-16")
def test_a_client_authenticates_in_one_way(oauth_client: OAuthClient, client: ClientKey) -> None:
    in_body = {"client_id": client.id, "client_secret": client.secret}
    assert oauth_client.token({**GRANT, **in_body}).status == 200
    assert is_error(oauth_client.token({**GRANT, **in_body}, client=client), 400, "invalid_request")
    assert oauth_client.token({**GRANT, "client_id": client.id}, client=client).status == 200
    assert is_error(oauth_client.token({**GRANT, "client_id": "portal"}, client=client), 400, "invalid_request")


@pytest.mark.conformance("OT-17")
@pytest.mark.conformance("OT-18")
def test_a_failed_authentication_is_invalid_client(oauth_client: OAuthClient, client: ClientKey) -> None:
    wrong = new_secret("kp", "live")
    answers = [
        oauth_client.token(GRANT, client=ClientKey(client.id, wrong)),
        oauth_client.token({**GRANT, "client_id": client.id, "client_secret": wrong}),
        oauth_client.token({**GRANT, "client_secret": client.secret}),
        oauth_client.token(GRANT),
        oauth_client.token({**GRANT, "client_id": client.id}),
        oauth_client.token(GRANT, Authorization="Basic !!!"),
        oauth_client.token(GRANT, Authorization=f"Bearer {client.secret}"),
        oauth_client.token(GRANT, client=ClientKey("portal", "")),
    ]
    for answer in answers:
        assert is_error(answer, 401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith('Basic realm="')
        assert wrong.encode() not in answer.body


@pytest.mark.conformance("OT-19")
def test_an_unknown_client_and_a_wrong_secret_look_the_same(oauth_client: OAuthClient, client: ClientKey) -> None:
    """To the byte; that they take equally long is for tests/tokens/test_equal_work.py."""
    unknown = ClientKey(new_id("key"), new_secret("kp", "live"))
    answers = [oauth_client.token(GRANT, client=tried) for tried in (unknown, ClientKey(client.id, unknown.secret))]
    own = ("date", "x-request-id")
    heads = [{k: v for k, v in answer.headers.items() if k not in own} for answer in answers]
    assert heads[0] == heads[1]
    assert len({answer.body for answer in answers}) == 1


@pytest.mark.conformance("OT-22")
def test_guessing_at_one_client_locks_that_client_for_that_address_and_no_other(
    portal: Portal, oauth_client: OAuthClient, client: ClientKey
) -> None:
    portal.shell(FORGET_GUESSES)
    guessed = ClientKey(*portal.make_key(OWNER, name="guessed"))
    wrong = ClientKey(guessed.id, new_secret("kp", "live"))
    statuses = [oauth_client.token(GRANT, client=wrong).status for _ in range(21)]
    assert statuses == [401] * 20 + [429]
    over = oauth_client.token(GRANT, client=guessed)
    is_oauth_answer(over)
    assert over.status == 429
    assert int(over.headers["retry-after"]) >= 1
    assert oauth_client.token(GRANT, client=client).status == 200
    portal.shell(FORGET_GUESSES)  # as the window's end would
    assert oauth_client.token(GRANT, client=guessed).status == 200


@pytest.mark.conformance("OT-23")
@pytest.mark.security("A-13")
@pytest.mark.parametrize(
    ("change", "back", "code"),
    [
        ("APIKey.objects.filter(pk='{key}').update(paused_at=timezone.now())", "", "paused"),
        ("services.deactivate_user(**who)", "services.reactivate_user(**who)", "owner_inactive"),
        ("services.unconfirm_user(**who)", "services.confirm_user(**who)", "account_unconfirmed"),
    ],
)
def test_a_client_that_is_switched_off_gets_nothing_and_its_tokens_end(
    portal: Portal, oauth_client: OAuthClient, change: str, back: str, code: str
) -> None:
    email = f"{code.replace('_', '-')}@example.com"
    portal.make_developer(email)
    client = ClientKey(*portal.make_key(email))
    token = oauth_client.client_token(client)
    head = (
        "from accounts import services; from audit.origin import Origin; from django.utils import timezone; "
        f"who = dict(user=User.objects.get(email='{email}'), origin=Origin.of_command('test')); "
    )
    portal.shell(head + change.format(key=client.id))
    assert oauth_client.wait_for_refusal(client.secret) == oauth_client.wait_for_refusal(token) == code
    assert is_error(oauth_client.token(GRANT, client=client), 401, "invalid_client")
    if back:
        portal.shell(head + back)
        wait_until_accepted(lambda: oauth_client.me(client.secret).status)
        assert oauth_client.token(GRANT, client=client).status == 200


def test_a_form_that_is_no_form_is_never_a_5xx(portal: Portal, client: ClientKey) -> None:
    head = f"POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {basic(*client)}\r\nConnection: close\r\n"
    for content_type, body in [
        (FORM, b"\xff\xfe=%ff&grant_type=%c3%28"),
        (FORM, b"&".join(b"a%d=1" % number for number in range(2000))),
        (FORM, b"grant_type=" + b"x" * 70_000),
        (f"{FORM}; charset=utf-16", b"grant_type=client_credentials"),
        (f"{FORM}; charset=nonsense", b"grant_type=client_credentials"),
        ("multipart/form-data; boundary=x", b"--x\r\n"),
        ("", b"grant_type=client_credentials"),
    ]:
        raw = f"{head}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        answer = portal.send_raw(raw)
        status = int(answer.split()[1])
        assert status in (200, 400, 413), (content_type, answer)
        assert b'"error"' in answer or status == 200
