"""Where what makes pages is broken: a plain one with the status comes instead, and the portal is not called ready."""

import base64
import hashlib
import json
import re
from typing import Any, Final

import pytest
from django.db import OperationalError
from django.http import HttpRequest
from django.test import Client
from pytest_django import Settings

from keyportal.errors import plain_page
from tests.conftest import MakeKey

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H22")]

SECRET: Final = "what-is-inside"


def broken(request: HttpRequest) -> dict[str, object]:
    raise RuntimeError(SECRET)


def away(request: HttpRequest) -> dict[str, object]:
    raise OperationalError(SECRET)


def no_templates(settings: Settings) -> None:
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [], "APP_DIRS": False}]


def with_processor(settings: Settings, name: str) -> None:
    options = settings.TEMPLATES[0]["OPTIONS"]
    processors = [*options["context_processors"], f"{__name__}.{name}"]
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "OPTIONS": {**options, "context_processors": processors}}]


def a_broken_processor(settings: Settings) -> None:
    with_processor(settings, "broken")


def a_missing_processor(settings: Settings) -> None:
    with_processor(settings, "nothing")


breakages = pytest.mark.parametrize(
    "spoil", [no_templates, a_broken_processor, a_missing_processor], ids=lambda spoil: spoil.__name__
)


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@breakages
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 500),
        ("GET", "/accounts/login/", 500),
        ("GET", "/nothing/", 404),
        ("GET", "/theme/", 405),
        ("PUT", "/keys/", 405),
        ("GET", "/docs/errors/nothing/", 404),
    ],
)
def test_there_is_a_page_with_the_status_whatever_is_broken(
    client: Client, settings: Settings, spoil: Any, method: str, path: str, status: int
) -> None:
    spoil(settings)
    answer = client.generic(method, path, secure=True)
    page = answer.content.decode()
    assert answer.status_code == status
    assert f"<code>{answer['X-Request-ID']}</code>" in page
    assert "</h1><p></p>" not in page
    assert SECRET not in page
    assert answer["Content-Security-Policy"] == plain_page.POLICY


def test_a_bad_host_has_a_page_as_well(client: Client, settings: Settings) -> None:
    no_templates(settings)
    answer = client.get("/keys/", secure=True, headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "names a host under which this portal shows no pages" in answer.content.decode()


@breakages
def test_who_can_show_no_page_is_not_ready_and_says_why(client: Client, settings: Settings, spoil: Any) -> None:
    assert client.get("/readyz", secure=True).status_code == 200
    spoil(settings)
    answer = client.get("/readyz", secure=True)
    readiness = json.loads(answer.content)
    assert (answer.status_code, readiness["status"]) == (503, "unready")
    assert readiness["faults"][0].startswith("pages can't be shown: ")
    assert SECRET not in str(readiness)


@breakages
def test_machines_are_answered_all_the_same(client: Client, settings: Settings, spoil: Any, make_key: MakeKey) -> None:
    _, secret = make_key()
    spoil(settings)
    credential = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/me", secure=True, headers=credential).status_code == 200
    assert json.loads(client.get("/api/v1/nothing", secure=True).content)["code"] == "not_found"


def test_a_database_that_is_away_is_no_missing_page(client: Client, settings: Settings) -> None:
    with_processor(settings, "away")
    answer = client.get("/nothing/", secure=True)
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert b"<h1>The portal is busy</h1>" in answer.content


def test_what_a_plain_page_shows_is_text() -> None:
    assert b"&lt;b&gt;" in plain_page.plain_page(400, "id", "<b>")


def test_the_policy_of_a_plain_page_lets_its_own_style_in() -> None:
    page = plain_page.plain_page(500, "request-1").decode()
    [style] = re.findall("<style>(.*?)</style>", page)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in plain_page.POLICY
