"""HTTP Basic at `POST /api/v1/tokens`: RFC 7617."""

import base64

import pytest

from tests.oauth_client import FORGET_GUESSES, PASSWORD, OAuthClient, basic, json_of
from tests.portal import Answer, Portal
from tests.portal_user import PortalUser
from tokens.basic import basic_credentials

OWNER = "basic@example.com"
ODD = {
    "colons@example.com": "a:b:c and more of it",
    "pound@example.com": "123£",
    "composed@example.com": "cafe\N{COMBINING ACUTE ACCENT} crème brûlée",
}


@pytest.fixture(scope="module", autouse=True)
def owner(portal: Portal) -> str:
    made = portal.make_developer(OWNER)
    portal.shell(
        "from audit.origin import Origin; from accounts.services import create_user; "
        "o = Origin.of_command('test'); "
        f"[create_user(email=e, password=p, confirmed=True, origin=o) for e, p in {ODD!a}.items()]; "
        f"create_user(email='unconfirmed@example.com', password='{PASSWORD}', confirmed=False, origin=o); "
        "create_user(email='unusable@example.com', password=None, confirmed=True, origin=o)"
    )
    return made


@pytest.fixture
def fresh_counts(portal: Portal, owner: str) -> None:
    portal.shell(FORGET_GUESSES)


def send(oauth_client: OAuthClient, **headers: str) -> Answer:
    return oauth_client.post("/api/v1/tokens", **headers)


def is_refused(answer: Answer) -> None:
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="keyportal", charset="UTF-8"')
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.conformance("BA-01")
@pytest.mark.conformance("BA-08")
@pytest.mark.conformance("OT-10")
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC "])
def test_e_mail_and_password_are_swapped_for_a_pair(oauth_client: OAuthClient, owner: str, scheme: str) -> None:
    answer = send(oauth_client, Authorization=basic(OWNER, PASSWORD).replace("Basic", scheme))
    body = json_of(answer)
    assert answer.status == 200
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert (body["token_type"].lower(), body["expires_in"]) == ("bearer", 600)
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    me = json_of(oauth_client.me(body["access_token"]))
    assert (me["kind"], me["owner"], me["client_id"]) == ("access_token", owner, "portal")


def test_an_address_is_the_same_however_it_is_typed(oauth_client: OAuthClient) -> None:
    assert oauth_client.password("  Basic@EXAMPLE.com ").status == 200


@pytest.mark.conformance("BA-02")
def test_without_a_password_the_challenge_asks_for_one_in_utf_8(portal: Portal, oauth_client: OAuthClient) -> None:
    key = portal.make_key(OWNER)[1]
    for headers in ({}, {"Authorization": f"Bearer {key}"}, {"Authorization": "Digest username=a"}):
        answer = send(oauth_client, **headers)
        is_refused(answer)
        assert json_of(answer)["code"] == "missing_credential"


@pytest.mark.conformance("BA-03")
@pytest.mark.conformance("BA-04")
@pytest.mark.parametrize("email", ODD)
def test_passwords_are_utf_8_and_may_hold_colons(oauth_client: OAuthClient, email: str) -> None:
    assert oauth_client.password(email, ODD[email]).status == 200


@pytest.mark.conformance("BA-03")
def test_the_vector_of_the_rfc_is_read() -> None:
    assert basic_credentials("Basic dGVzdDoxMjPCow==") == ("test", "123£")


def test_one_password_is_one_password_however_it_is_composed(oauth_client: OAuthClient) -> None:
    assert oauth_client.password("composed@example.com", "café crème brûlée").status == 200


GARBAGE = [
    "",
    " ",
    " !!!",
    " bm9jb2xvbg==",
    " /////w==",
    " YTpi\u00e9",
    " YTo=",
    " Og==",
    " YTpi YTpi",
    " YTpi, Basic YTpi",
]


@pytest.mark.conformance("BA-07")
@pytest.mark.parametrize("header", GARBAGE)
def test_garbage_is_401(portal: Portal, header: str) -> None:
    head = (
        f"POST /api/v1/tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Basic{header}\r\n\r\n"
    )
    answer = portal.send_raw(head.encode("latin-1"))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b'Basic realm="keyportal"' in answer


@pytest.mark.conformance("BA-07")
@pytest.mark.parametrize("text", ["a\0b:c", f"{OWNER}:\0", "a\nb:c", "x" * 5000 + ":y", "\ud7ff:\U0010ffff"])
@pytest.mark.usefixtures("fresh_counts")
def test_odd_characters_are_401(oauth_client: OAuthClient, text: str) -> None:
    header = "Basic " + base64.b64encode(text.encode()).decode()
    is_refused(send(oauth_client, Authorization=header))


@pytest.mark.once
@pytest.mark.conformance("BA-09")
@pytest.mark.security("A-13")
@pytest.mark.usefixtures("fresh_counts")
def test_an_unknown_account_and_a_wrong_password_look_the_same(oauth_client: OAuthClient) -> None:
    """To the byte; that they take equally long is for tests/tokens/test_equal_work.py."""
    emails = (OWNER, "nobody@example.com", "unusable@example.com", "unconfirmed@example.com")
    answers = [oauth_client.password(email, "wrong") for email in emails]
    for answer in answers:
        is_refused(answer)
    assert len({answer.body for answer in answers}) == 1


@pytest.mark.conformance("BA-10")
@pytest.mark.usefixtures("fresh_counts")
def test_an_unconfirmed_account_is_told_so_with_the_right_password_only(oauth_client: OAuthClient) -> None:
    right = oauth_client.password("unconfirmed@example.com")
    assert (right.status, json_of(right)["code"]) == (403, "account_unconfirmed")
    wrong = oauth_client.password("unconfirmed@example.com", "wrong")
    assert (wrong.status, json_of(wrong)["code"]) == (401, "invalid_login")


@pytest.mark.once
@pytest.mark.conformance("BA-11")
@pytest.mark.conformance("PD-06")
@pytest.mark.usefixtures("fresh_counts")
def test_guesses_end_in_429_and_the_owner_s_session_and_keys_go_on(portal: Portal, oauth_client: OAuthClient) -> None:
    guessed = PortalUser(portal, "guess-basic@example.com")
    secret = portal.make_key("guess-basic@example.com")[1]
    statuses = [oauth_client.password("guess-basic@example.com", f"guess {number}").status for number in range(11)]
    assert statuses == [401] * 10 + [429]
    over = oauth_client.password("guess-basic@example.com")
    assert (over.status, json_of(over)["code"], over.headers["cache-control"]) == (429, "rate_limited", "no-store")
    assert 1 <= int(over.headers["retry-after"]) <= 601
    assert "www-authenticate" not in over.headers
    assert oauth_client.me(secret).status == 200
    assert "guess-basic@example.com" in guessed.get("/account/")
    assert oauth_client.password(OWNER).status == 200  # another account, from the same address


@pytest.mark.conformance("BA-11")
@pytest.mark.usefixtures("fresh_counts")
def test_an_address_that_the_owner_works_from_stays_open_when_guesses_come_from_everywhere(
    portal: Portal, oauth_client: OAuthClient
) -> None:
    oauth_client.log_in(OWNER)
    guesses = "from accounts.guessing import OF_ACCOUNT; [OF_ACCOUNT.hit('{}') for _ in range(21)]"
    portal.shell(guesses.format(OWNER))
    portal.shell(guesses.format("colons2@example.com"))
    portal.make_developer("colons2@example.com")
    assert oauth_client.password(OWNER).status == 200
    assert oauth_client.password("colons2@example.com").status == 429


@pytest.mark.conformance("BA-12")
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"])
def test_no_form_of_another_site_mints_tokens(portal: Portal, kind: str) -> None:
    """A browser keeps Basic credentials and sends them with a form; no form can send JSON."""
    headers = {"Authorization": basic(OWNER, PASSWORD), "Content-Type": kind, "Origin": "https://evil.example"}
    assert portal.request("POST", "/api/v1/tokens", headers=headers, body=b"").status == 415


@pytest.mark.conformance("BA-12")
def test_a_session_mints_no_tokens(portal: Portal, oauth_client: OAuthClient) -> None:
    portal_user = PortalUser(portal, "session-basic@example.com")
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in portal_user.cookies)
    is_refused(send(oauth_client, Cookie=cookies))


@pytest.mark.conformance("BA-13")
@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/tokens"])
def test_a_password_opens_nothing_else(portal: Portal, path: str) -> None:
    method = "DELETE" if path.endswith("tokens") else "GET"
    answer = portal.request(method, path, headers={"Authorization": basic(OWNER, PASSWORD)})
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer realm=")


@pytest.mark.conformance("BA-14")
@pytest.mark.usefixtures("fresh_counts")
def test_an_account_with_a_second_factor_is_refused(portal: Portal, oauth_client: OAuthClient) -> None:
    portal.make_developer("factor-basic@example.com")
    portal.shell(
        "from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret; "
        "TOTP.activate(User.objects.get(email='factor-basic@example.com'), generate_totp_secret())"
    )
    answer = oauth_client.password("factor-basic@example.com")
    assert (answer.status, json_of(answer)["code"]) == (403, "mfa_required")
    assert json_of(oauth_client.password("factor-basic@example.com", "wrong"))["code"] == "invalid_login"


@pytest.mark.parametrize("scope", ["nothing:known", "credentials:verify", 'a"b', "\0"])
def test_scopes_that_can_not_be_had_are_refused(oauth_client: OAuthClient, scope: str) -> None:
    answer = oauth_client.post("/api/v1/tokens", {"scope": scope}, Authorization=oauth_client.basic(OWNER))
    assert answer.status == 400
    assert json_of(answer)["code"] in ("invalid_scope", "validation")


@pytest.mark.parametrize("body", [b"{", b"[]", b"5", b'{"scope": 5}', b'{"scope": []}', b"\xff"])
def test_a_body_that_is_none_is_never_a_5xx(portal: Portal, body: bytes) -> None:
    headers = {"Authorization": basic(OWNER, PASSWORD), "Content-Type": "application/json"}
    assert portal.request("POST", "/api/v1/tokens", headers=headers, body=body).status in (200, 400)
