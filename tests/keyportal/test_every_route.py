"""Every route with every method and odd arguments: nothing is a 5xx, and nothing opens by itself."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import User
from tests.conftest import MakeKey

pytestmark = [pytest.mark.second, pytest.mark.django_db]
METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")
OPEN = re.compile(
    r"/$|/diagnose|/accounts/(login|signup|logout|inactive|confirm-email|password/reset|reauthenticate|2fa/(authenticate|webauthn/login)"
    r"|login/code/confirm|password/set)/|/docs/|/quickstart/|/theme/|/\.?well-known/|/healthz|/readyz|/api/|/admin/(login|jsi18n|logout)/"
)
"""What answers 200 to a client that is not logged in. A new route fails the test until it is listed here."""


def routes(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> Iterator[str]:
    """Yield an address for each route, with something odd in the place of each argument."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern).lstrip("^").rstrip("$").replace("\\Z", "")
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
            continue
        path = re.sub(r"<int:\w+>", "987654321", route)
        path = re.sub(r"<(?:\w+:)?\w+>|\(\?P<\w+>[^)]*\)", "%27%22%3C%00%F0%9F%94%91a", path)
        yield re.sub(r"\(\?:.*?\)|[\\^$?*+]", "", path)


def every_route() -> list[str]:
    found = sorted(set(routes(get_resolver().url_patterns)))
    assert len(found) > 60
    return found


def test_no_route_breaks_for_anybody(log_in: Callable[..., Client], operator: User, make_key: MakeKey) -> None:
    make_key()
    desk = log_in(operator)
    desk.raise_request_exception = False
    browsers = [Client(raise_request_exception=False), desk]
    broken = [
        (method, path, answer.status_code)
        for browser in browsers
        for path in every_route()
        for method in METHODS
        if not (browser is desk and path.endswith("/logout/"))
        if (answer := getattr(browser, method)(path, secure=True)).status_code >= 500
    ]
    assert broken == []
    assert desk.get("/admin/", secure=True).status_code == 200  # the operator was there to the end


@pytest.mark.security("Z-02")
def test_nothing_opens_to_somebody_who_is_not_logged_in_unless_it_is_listed(client: Client) -> None:
    opened = [path for path in every_route() if client.get(path, secure=True).status_code == 200]
    assert "/accounts/login/" in opened
    assert [path for path in opened if not OPEN.match(path)] == []


@pytest.mark.security("Z-02")
def test_no_route_of_the_admin_opens_to_a_developer(log_in: Callable[..., Client], developer: User) -> None:
    browser = log_in(developer)
    admin = [path for path in every_route() if path.startswith("/admin/")]
    assert len(admin) > 20
    opened = [path for path in admin if browser.get(path, secure=True).status_code == 200]
    assert [path for path in opened if "jsi18n" not in path] == []


@pytest.mark.security("Z-09")
@pytest.mark.parametrize("method", ["trace", "put", "delete"])
def test_pages_take_the_methods_that_they_list(log_in: Callable[..., Client], developer: User, method: str) -> None:
    browser = log_in(developer)
    for path in ("/keys/", "/keys/new/", "/account/", "/account/history/"):
        assert getattr(browser, method)(path, secure=True).status_code == 405
    answer = browser.post("/keys/", secure=True, headers={"X-HTTP-Method-Override": "GET"})
    assert answer.status_code == 405
