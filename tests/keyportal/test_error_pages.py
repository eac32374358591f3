"""Every error that a browser can meet is a page: what happened, what to do next, the request's id, and a way on."""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client, RequestFactory

from accounts.models import User
from keyportal.errors import error_views as errors
from keyportal.errors.codes import CODES
from keyportal.http import middleware
from tests.keyportal.test_every_route import METHODS, every_route
from tests.portal import ROOT, Portal

pytestmark = pytest.mark.finding("H23")
STATUSES = sorted(errors.CODE_OF)
PLAIN = (500, 503)
"""Their pages need neither session nor database."""


def is_for_machines(path: str) -> bool:
    return path.startswith(settings.KEYPORTAL_MACHINE_PATHS)


@pytest.mark.django_db
@pytest.mark.parametrize("status", STATUSES)
def test_each_status_has_a_page_that_says_what_happened_what_to_do_and_how_to_go_on(
    client: Client, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "error_response", lambda request, *_: errors.error_response(request, status))
    answer = client.generic("BREW", "/keys/", secure=True)
    page = answer.content.decode()
    assert answer.status_code == status
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    [heading] = re.findall(r"<h1>(.+?)</h1>", page)
    assert f"<title>{heading} · keyportal</title>" in page
    assert re.search(r"<p>[^<]{30,}</p>", page)
    assert f"<code>{answer['X-Request-ID']}</code>" in page
    assert 'href="/">Go to the start page</a>' in page


def test_a_status_without_a_page_would_be_noticed() -> None:
    pages = {int(path.stem) for path in (ROOT / "templates/errors").glob("[0-9]*.html")}
    assert pages == set(STATUSES) == {CODES[code].status for code in errors.CODE_OF.values()}
    assert {400, 403, 404, 405, 406, 408, 409, 410, 413, 414, 415, 429, 431, 500, 503} <= pages


@pytest.mark.parametrize("status", PLAIN)
def test_an_error_response_asks_neither_the_session_nor_the_database(status: int) -> None:
    # No database mark: a query would fail here, and there is no session and no user.
    answer = errors.error_response(RequestFactory().get("/keys/"), status)
    assert answer.status_code == status
    assert b'href="/keys/">Try again</a>' in answer.content


@pytest.mark.django_db
@pytest.mark.parametrize("status", STATUSES)
def test_an_error_without_words_gets_them_whoever_made_it(status: int) -> None:
    def bare(request: Any) -> HttpResponse:
        response = HttpResponse(status=status, headers={"Allow": "GET"})
        response.set_cookie("kept", "1")
        return response

    answer = middleware.ErrorPagesMiddleware(bare)(RequestFactory().get("/keys/"))
    assert (answer.status_code, answer["Allow"], answer.cookies["kept"].value) == (status, "GET", "1")
    assert b"<h1>" in answer.content
    problem = middleware.ErrorPagesMiddleware(bare)(RequestFactory().get("/healthz"))
    assert (problem.status_code, problem["Allow"], problem["Content-Type"]) == (
        status,
        "GET",
        "application/problem+json",
    )
    assert json.loads(problem.content)["status"] == status


@pytest.mark.django_db
@pytest.mark.parametrize("status", [402, 418, 451, 502, 507])
def test_an_error_that_nobody_has_thought_of_has_words_too(status: int) -> None:
    answer = middleware.ErrorPagesMiddleware(lambda _: HttpResponse(status=status))(RequestFactory().get("/keys/"))
    assert answer.status_code == status
    assert b"<h1>" in answer.content


@pytest.mark.sweep
@pytest.mark.once
@pytest.mark.django_db
def test_no_route_answers_an_error_without_words(log_in: Callable[..., Client], operator: User) -> None:
    desk = log_in(operator)
    anonymous = Client()
    silent = [
        (method, path, answer.status_code)
        for browser in (anonymous, desk)
        for path in every_route()
        for method in METHODS
        if not (browser is desk and path.endswith("/logout/"))
        if (answer := getattr(browser, method)(path, secure=True)).status_code >= 400
        if not says_something(path, method, answer)
    ]
    assert silent == []


def says_something(path: str, method: str, answer: Any) -> bool:
    if method == "head":
        return True
    kind = answer["Content-Type"].partition(";")[0]
    if is_for_machines(path):
        return kind in ("application/problem+json", "application/json") and bool(json.loads(answer.content))
    page = answer.content.decode()
    is_form = method == "post" and answer.status_code == 400 and "<form" in page
    return kind == "text/html" and "<h1>" in page and (is_form or answer["X-Request-ID"] in page)


@pytest.mark.django_db
def test_a_decorator_s_405_is_a_page_and_says_what_the_address_takes(client: Client) -> None:
    pages = {"/theme/": "/", "/account/apps/end/": "/account/apps/", "/keys/k/secrets/s/reveal/": "/keys/k/#secrets"}
    for path, page in pages.items():
        answer = client.get(path, secure=True)
        assert (answer.status_code, answer["Allow"]) == (405, "POST"), path
        assert f'href="{page}">Go to that page' in answer.content.decode()
    answer = client.post("/docs/errors/revoked/", secure=True)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/.well-known/jwks.json"])
def test_a_decorator_s_405_is_a_problem_where_machines_ask(client: Client, path: str) -> None:
    answer = client.post(path, secure=True)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert answer["Content-Type"] == "application/problem+json"
    assert json.loads(answer.content)["code"] == "method_not_allowed"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "PURGE", "TRACE"])
def test_a_method_that_no_page_knows_is_405_and_not_a_missing_token(portal: Portal, method: str) -> None:
    for path in ("/keys/", "/accounts/login/", "/accounts/password/reset/", "/admin/"):
        answer = portal.request(method, path, body=b"email=a%40example.com")
        assert (answer.status, answer.headers["allow"]) == (HTTPStatus.METHOD_NOT_ALLOWED, "GET, HEAD, POST"), path
        assert b"<h1>" in answer.body
    assert portal.request(method, "/nothing/").status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("accept", ["application/json", "application/xml", "nonsense", "*/*;q=0", "text/html;q=x", ""])
def test_whatever_is_accepted_an_error_of_a_page_is_a_page(portal: Portal, accept: str) -> None:
    for method, path, status in (("GET", "/nothing/", 404), ("GET", "/theme/", 405), ("POST", "/accounts/login/", 403)):
        answer = portal.request(method, path, headers={"Accept": accept}, body=b"" if method == "POST" else None)
        assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")


def test_head_has_the_status_and_the_headers_of_an_error_and_no_body(portal: Portal) -> None:
    for path, status in (("/nothing/", 404), ("/theme/", 405), ("/healthz/x", 404)):
        raw = portal.send_raw(f"HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        head, _, body = raw.partition(b"\r\n\r\n")
        assert f" {status} ".encode() in head.split(b"\r\n")[0]
        assert body == b""


def test_a_chunked_form_is_a_page_in_a_browser(portal: Portal) -> None:
    answer = portal.send_raw(
        b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\n3\r\na=b\r\n0\r\n\r\n"
    )
    assert b"text/html" in answer
    assert b"<h1>" in answer
