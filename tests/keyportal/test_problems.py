"""Errors for machines are problem details, whatever made them: the view, REST framework, Django or the server."""

import json
import re
from typing import Any

import pytest

from tests.portal import Answer, Portal


def problem(answer: Answer) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = json.loads(answer.body)
    assert body["status"] == answer.status
    assert body["type"].endswith(f"/docs/errors/{body['code']}/")
    assert body["title"]
    return body


@pytest.fixture(scope="module")
def authorization(portal: Portal) -> dict[str, str]:
    portal.make_developer("problems@example.com")
    _, secret = portal.make_key("problems@example.com")
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.conformance("PD-01")
@pytest.mark.conformance("PD-02")
@pytest.mark.conformance("PD-04")
@pytest.mark.security("Z-10")
@pytest.mark.security("P-04")
def test_what_the_framework_answers_by_itself_is_a_problem_too(portal: Portal, authorization: dict[str, str]) -> None:
    def code(method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
        answer = portal.request(method, path, headers={**authorization, **headers}, body=body)
        return answer.status, problem(answer)["code"]

    assert code("GET", "/api/v1/nothing") == (404, "not_found")
    assert code("GET", "/api/") == (404, "not_found")
    assert code("DELETE", "/api/v1/me") == (405, "method_not_allowed")
    assert code("TRACE", "/api/v1/me") == (405, "method_not_allowed")
    assert code("GET", "/api/v1/me", Accept="application/xml") == (406, "not_acceptable")
    assert code("GET", "/api/v1/me?%00") == (400, "bad_request")


@pytest.mark.security("B-11")
def test_every_answer_says_what_it_is(portal: Portal, authorization: dict[str, str]) -> None:
    def kind(path: str, **headers: str) -> tuple[int, str]:
        answer = portal.get(path, **headers)
        return answer.status, answer.headers["content-type"]

    assert kind("/api/v1/me", **authorization) == (200, "application/json")
    assert kind("/api/v1/me") == (401, "application/problem+json")
    assert kind("/accounts/login/") == (200, "text/html; charset=utf-8")
    assert kind("/nothing") == (404, "text/html; charset=utf-8")
    assert kind("/static/nothing.css") == (404, "text/html; charset=utf-8")
    sheets = set(re.findall(r'href="(/static/[^"]+\.css)"', portal.get("/").body.decode()))
    assert {kind(sheet) for sheet in sheets} == {(200, 'text/css; charset="utf-8"')}


@pytest.mark.conformance("PD-03")
def test_a_title_is_the_same_for_every_problem_of_its_type_and_tells_nothing_of_the_inside(portal: Portal) -> None:
    one, other = (problem(portal.get(path)) for path in ("/api/v1/a", "/api/v1/b"))
    assert one == other
    text = json.dumps(one)
    assert "Traceback" not in text
    assert "django" not in text.lower()


@pytest.mark.conformance("BR-15")
def test_head_is_refused_like_get_and_options_allows_no_other_origin(portal: Portal) -> None:
    assert portal.request("HEAD", "/api/v1/me").status == 401
    preflight = portal.request("OPTIONS", "/api/v1/me", headers={"Origin": "https://evil.example"})
    assert not [name for name in preflight.headers if name.startswith("access-control")]


@pytest.mark.security("R-19")
@pytest.mark.finding("H17")
def test_a_chunked_body_is_read(portal: Portal) -> None:
    answer = portal.send_raw(
        b"POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        b"a\r\ngrant_type\r\n5\r\n=none\r\n0\r\n\r\n"
    )
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"unsupported_grant_type" in answer


@pytest.mark.security("R-15")
def test_three_hundred_headers_are_refused_by_the_server(portal: Portal) -> None:
    lines = b"".join(b"X-%d: 1\r\n" % number for number in range(300))
    answer = portal.send_raw(b"GET /api/v1/me HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431")


@pytest.mark.security("P-06")
@pytest.mark.security("P-04")
def test_two_hosts_are_400(portal: Portal) -> None:
    answer = portal.send_raw(b"GET /api/v1/me HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil\r\nConnection: close\r\n\r\n")
    assert b" 400 " in answer.split(b"\r\n")[0]


@pytest.mark.security("L-06")
def test_every_answer_names_its_request_and_the_log_has_the_same_name(portal: Portal) -> None:
    answer = portal.get("/api/v1/me")
    assert len(answer.headers["x-request-id"]) == 32
    assert answer.headers["x-request-id"] in portal.log.read_text()
    forged = portal.get("/api/v1/me", **{"X-Request-ID": "chosen-by-the-client"})
    assert forged.headers["x-request-id"] != "chosen-by-the-client"


def test_each_code_has_a_page(portal: Portal) -> None:
    for code in ("revoked", "missing_credential", "not_found", "unavailable"):
        assert portal.get(f"/docs/errors/{code}/").status == 200
    assert portal.get("/docs/errors/nonsense/").status == 404


def test_health_and_readiness(portal: Portal) -> None:
    assert json.loads(portal.get("/healthz").body) == {"status": "ok"}
    assert json.loads(portal.get("/readyz").body) == {"status": "ready", "faults": []}


@pytest.mark.security("Z-11")
def test_pages_say_no_version_and_errors_are_the_portals_own(portal: Portal) -> None:
    page = portal.get("/nothing-here")
    assert page.status == 404
    assert b"Page not found" in page.body
    assert "server" not in page.headers
    assert "x-powered-by" not in page.headers


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain; charset=zlib",
        "text/plain; charset=rot13",
        "text/plain; charset=undefined",
        "text/plain; charset=utf-7",
        'application/json; charset="zlib"',
        "multipart/form-data; boundary=x; charset=zlib",
    ],
)
def test_a_body_in_a_charset_that_nobody_reads_is_400_everywhere(portal: Portal, content_type: str) -> None:
    head = {"Content-Type": content_type, "Authorization": "Bearer kp_live_x"}
    for path in ("/api/v1/me", "/oauth/token?a=b", "/accounts/login/"):
        answer = portal.request("POST", path, headers=head, body=b"a=b")
        assert answer.status == 400, path
        assert answer.headers["x-request-id"]
        assert b"The Content-Type header names an unsupported charset" in answer.body


def test_what_browsers_and_libraries_write_is_read(portal: Portal) -> None:
    for content_type in ("application/json; charset=utf-8", 'application/json;charset="UTF-8"', "application/json"):
        answer = portal.request(
            "POST", "/api/v1/tokens/refresh", headers={"Content-Type": content_type}, body=b'{"refresh_token": "x"}'
        )
        assert answer.status == 400
        assert json.loads(answer.body)["code"] == "invalid_grant"


@pytest.mark.parametrize("body", [b"[" * 30_000, b'{"a":' * 10_000])
def test_json_that_is_nested_too_deeply_is_bad_json(portal: Portal, body: bytes) -> None:
    answer = portal.request("POST", "/api/v1/tokens/refresh", headers={"Content-Type": "application/json"}, body=body)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "malformed_body")


def test_a_file_is_refused_before_it_is_read(portal: Portal) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + b"x" * 3_000_000 + b"\r\n--x--"
    head = {"Content-Type": "multipart/form-data; boundary=x", "Authorization": "Bearer kp_live_x"}
    for path in ("/api/v1/me", "/accounts/login/"):
        assert portal.request("POST", path, headers=head, body=form).status == 413
