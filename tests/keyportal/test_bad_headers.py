"""What may arrive at `/api/v1/me` of a started portal, and the one right answer to each."""

import json
import re
from typing import NamedTuple

import pytest

from tests.keyportal.test_every_route import every_route
from tests.oauth_client import FORM
from tests.portal import Portal
from tests.staleness import wait_until_refused
from tests.typos import with_another_end
from vault.secret_format import new_secret


class Consumer(NamedTuple):
    """A developer's key in the started portal."""

    key: str
    secret: str


@pytest.fixture(scope="module")
def consumer(portal: Portal) -> Consumer:
    portal.make_developer("headers@example.com")
    return Consumer(*portal.make_key("headers@example.com"))


def raw_me(portal: Portal, *lines: bytes, query: bytes = b"") -> tuple[int, dict[str, str], dict[str, object]]:
    """Send GET /api/v1/me with these header lines, byte for byte, and give status, headers and JSON."""
    head = b"GET /api/v1/me%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n" % (query, portal.port)
    answer = portal.send_raw(head + b"".join(line + b"\r\n" for line in lines) + b"\r\n")
    top, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = top.decode("latin-1").split("\r\n")
    named = {name.lower(): value for name, _, value in (line.partition(": ") for line in headers)}
    return int(status.split()[1]), named, json.loads(body) if body else {}


@pytest.mark.conformance("BR-01")
@pytest.mark.conformance("BR-14")
@pytest.mark.conformance("BR-02")
@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER   "])
def test_a_good_secret_is_200(portal: Portal, consumer: Consumer, scheme: bytes) -> None:
    status, headers, body = raw_me(portal, b"Authorization: " + scheme + consumer.secret.encode())
    assert status == 200
    assert body["id"] == consumer.key
    assert headers["cache-control"] == "no-store"
    assert consumer.secret not in json.dumps(body)


@pytest.mark.conformance("ST-01")
@pytest.mark.parametrize("environment", ["live", "test"])
def test_a_printed_secret_is_a_b64token_and_stands_in_a_header_as_it_is(portal: Portal, environment: str) -> None:
    portal.make_developer(f"form-{environment}@example.com")
    _, secret = portal.make_key(f"form-{environment}@example.com", "--environment", environment)
    assert re.fullmatch(rf"kp_{environment}_[0-9A-Za-z]{{49}}", secret)
    assert raw_me(portal, b"Authorization: Bearer " + secret.encode())[0] == 200


@pytest.mark.conformance("BR-10")
@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/verify"])
def test_a_secret_in_a_form_is_no_credential(portal: Portal, consumer: Consumer, path: str) -> None:
    answer = portal.request(
        "POST", path, headers={"Content-Type": FORM}, body=f"access_token={consumer.secret}".encode()
    )
    assert (answer.status, json.loads(answer.body)["code"]) == (401, "missing_credential")


@pytest.mark.conformance("BR-12")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_401_of_every_address_for_machines_has_a_challenge(portal: Portal, method: str) -> None:
    paths = [path for path in every_route() if path.startswith(("/api/v1/", "/oauth/", "/.well-known/"))]
    assert len(paths) >= 9
    answers = {path: portal.request(method, path, headers={}) for path in [*paths, "/gateway/auth"]}
    assert {answer.status for answer in answers.values()} <= {200, 204, 400, 401, 404, 405}  # 403 of nobody
    challenges = [answer.headers["www-authenticate"] for answer in answers.values() if answer.status == 401]
    assert challenges
    assert all(challenge.startswith(("Bearer ", "Basic ")) for challenge in challenges)


@pytest.mark.conformance("BR-03")
@pytest.mark.conformance("BR-04")
@pytest.mark.conformance("BR-09")
@pytest.mark.parametrize("lines", [[], [b"Authorization: Basic YTpi"], [b"Authorization: Digest username=a"]])
@pytest.mark.parametrize("query", [b"", b"?access_token="])
def test_no_credential_is_challenged_without_an_error(
    portal: Portal, consumer: Consumer, lines: list[bytes], query: bytes
) -> None:
    status, headers, body = raw_me(portal, *lines, query=query and query + consumer.secret.encode())
    assert (status, body["code"]) == (401, "missing_credential")
    assert headers["www-authenticate"].startswith('Bearer realm="')
    assert "error=" not in headers["www-authenticate"]


@pytest.mark.conformance("BR-06")
@pytest.mark.conformance("BR-08")
@pytest.mark.parametrize(
    "lines",
    [
        [b"Authorization:"],
        [b"Authorization: Bearer"],
        [b"Authorization: Bearer a b"],
        [b'Authorization: Bearer "SECRET"'],
        [b"Authorization: Bearer \xc3\xa9"],
        [b"Authorization: Bearer \xff\xfe"],
        [b"Authorization: Bearer SECRET", b"Authorization: Bearer SECRET"],
        [b"Authorization: Bearer SECRET", b"Authorization: Basic YTpi"],
        [b"Authorization: Basic YTpi", b"Authorization: Bearer SECRET"],
        [b"Authorization: Bearer " + b"x" * 9000],
        [b"Authorization: Bearer " + b"x" * 20000],
    ],
)
def test_a_malformed_header_is_400_even_if_one_of_two_credentials_is_good(
    portal: Portal, consumer: Consumer, lines: list[bytes]
) -> None:
    status, headers, body = raw_me(portal, *(line.replace(b"SECRET", consumer.secret.encode()) for line in lines))
    assert (status, body["code"]) == (400, "malformed_request")
    assert 'error="invalid_request"' in headers["www-authenticate"]


@pytest.mark.conformance("BR-08")
def test_a_second_credential_in_the_query_is_400(portal: Portal, consumer: Consumer) -> None:
    status, _, body = raw_me(
        portal, b"Authorization: Bearer " + consumer.secret.encode(), query=b"?access_token=" + consumer.secret.encode()
    )
    assert (status, body["code"]) == (400, "malformed_request")


def test_a_nul_in_the_header_never_reaches_the_portal(portal: Portal, consumer: Consumer) -> None:
    answer = portal.send_raw(b"GET /api/v1/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\x00b\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.conformance("BR-05")
@pytest.mark.conformance("ST-03")
def test_unknown_malformed_and_forged_secrets_get_one_and_the_same_answer(portal: Portal, consumer: Consumer) -> None:
    good = consumer.secret
    bad = [
        good[:-1],
        with_another_end(good),
        good.replace("kp_live", "kp_test"),
        good.replace("kp_live", "sk_live"),
        good.swapcase(),
        new_secret("kp", "live"),
        "kp_live_",
        "kp_refresh_" + "a" * 49,
        "x",
        "a.b.c",
        "x" * 4096,
    ]
    answers = {
        (status, headers["www-authenticate"], json.dumps(body))
        for status, headers, body in (raw_me(portal, b"Authorization: Bearer " + one.encode()) for one in bad)
    }
    assert len(answers) == 1
    status, challenge, body = answers.pop()
    assert status == 401
    assert 'error="invalid_token"' in challenge
    assert json.loads(body)["code"] == "invalid_token"


def test_a_revoked_key_is_told_so_with_its_id(portal: Portal) -> None:
    portal.make_developer("revoked@example.com")
    key, secret = portal.make_key("revoked@example.com")
    assert raw_me(portal, b"Authorization: Bearer " + secret.encode())[0] == 200
    portal.revoke_key(key, "leaked")
    wait_until_refused(lambda: raw_me(portal, b"Authorization: Bearer " + secret.encode())[0])
    for _ in range(8):  # both workers
        status, headers, body = raw_me(portal, b"Authorization: Bearer " + secret.encode())
        assert (status, body["code"], body["key"]) == (401, "revoked", key)
        assert 'error="invalid_token"' in headers["www-authenticate"]


def test_an_unconfirmed_owners_key_is_403(portal: Portal) -> None:
    portal.make_developer("later@example.com")
    _, secret = portal.make_key("later@example.com")
    portal.shell("User.objects.filter(email='later@example.com').update(confirmed_at=None)")
    status, _, body = raw_me(portal, b"Authorization: Bearer " + secret.encode())
    assert (status, body["code"]) == (403, "account_unconfirmed")


@pytest.mark.conformance("BR-16")
def test_no_answer_sets_a_cookie(portal: Portal, consumer: Consumer) -> None:
    for lines in ([], [b"Authorization: Bearer " + consumer.secret.encode()], [b"Cookie: sessionid=abc"]):
        assert "set-cookie" not in raw_me(portal, *lines)[1]


def test_the_log_holds_no_secret_and_no_query(portal: Portal, consumer: Consumer) -> None:
    raw_me(portal, b"Authorization: Bearer " + consumer.secret.encode(), query=b"?note=in-the-query")
    portal.get("/" + consumer.secret)
    log = portal.log.read_text()
    assert "/api/v1/me 200" in log
    assert consumer.secret not in log
    assert "in-the-query" not in log
