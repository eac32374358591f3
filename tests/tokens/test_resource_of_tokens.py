"""For whom a token is issued (RFC 8707): one service that operators keep, and a log-in keeps the one it began with."""

import base64
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from audit.models import Event
from credentials.scopes.models import Scope
from tests.conftest import ORIGIN, PASSWORD, MakeKey
from tests.tokens.audiences import ORDERS, REPORTS, orders, reports
from tests.tokens.endpoints import FORM, basic, log_in_for_tokens, post_form, refresh
from tokens import services
from tokens.audiences import is_registered
from tokens.models import Audience, RefreshToken, TokenFamily

__all__ = ["log_in_for_tokens", "orders", "reports"]  # fixtures

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H39")]
Json = dict[str, Any]
LogIn = Callable[..., Json]
Head = Mapping[str, str]
GRANT = {"grant_type": "client_credentials"}
AS_OAUTH_SAYS = {"error": "invalid_target", "error_description": "No token is issued for this resource."}
UNKNOWN = {
    "none": "https://other.test",
    "with a slash": f"{REPORTS}/",
    "in capitals": "HTTPS://reports.test",
    "with a fragment": f"{REPORTS}#all",
    "two in one": f"{REPORTS} {ORDERS}",
    "no uri": "reports",
    "not to be stored": "https://reports.test/\x01",
    "not to be shown": "https://reports.test/é",
    "far too long": "https://reports.test/" + "x" * 5000,
}


@pytest.fixture
def head(make_key: MakeKey, scopes: list[Scope]) -> dict[str, str]:
    """How a key authenticates as a client."""
    key, secret = make_key(scopes=["reports:read"])
    return basic(key.pk, secret)


def aud(issued: Json) -> str:
    claims = json.loads(base64.urlsafe_b64decode(issued["access_token"].split(".")[1] + "=="))
    return str(claims["aud"])


def grant(client: Client, head: Head, **parameters: str) -> tuple[int, Json]:
    return post_form(client, "/oauth/token", {**GRANT, **parameters}, **head)


def spend(client: Client, token: str, **parameters: str) -> tuple[int, Json]:
    """Spend a refresh token at the token endpoint."""
    return post_form(client, "/oauth/token", {"grant_type": "refresh_token", "refresh_token": token, **parameters})


@pytest.mark.usefixtures("reports", "orders")
def test_a_client_names_the_service_that_its_token_is_for(client: Client, head: Head, settings: Settings) -> None:
    plain = grant(client, head)[1]
    assert aud(plain) == settings.KEYPORTAL_AUDIENCE == "https://portal.test"
    for resource in (REPORTS, ORDERS):
        status, issued = grant(client, head, resource=resource, scope="reports:read")
        assert (status, aud(issued), issued.keys()) == (200, resource, plain.keys())
    for resource in ("", "https://portal.test"):
        assert aud(grant(client, head, resource=resource)[1]) == "https://portal.test"
    audiences = [event.details["audience"] for event in Event.objects.filter(verb="token_issued").order_by("id")]
    assert audiences == ["https://portal.test", REPORTS, ORDERS, "https://portal.test", "https://portal.test"]


@pytest.mark.usefixtures("reports")
def test_the_portal_s_own_audience_is_what_its_setting_says(client: Client, head: Head, settings: Settings) -> None:
    settings.KEYPORTAL_AUDIENCE = "one name, and no address"
    assert aud(grant(client, head, resource="one name, and no address")[1]) == "one name, and no address"
    assert grant(client, head, resource="https://portal.test")[1]["error"] == "invalid_target"
    assert aud(grant(client, head, resource=REPORTS)[1]) == REPORTS


@pytest.mark.usefixtures("reports", "orders")
@pytest.mark.parametrize("named", [REPORTS, "https://portal.test", None])
def test_a_log_in_keeps_the_service_that_it_began_with(
    client: Client, log_in_for_tokens: LogIn, named: str | None
) -> None:
    pair = log_in_for_tokens(**({"resource": named} if named else {}))
    kept = named or "https://portal.test"
    assert aud(pair) == kept
    for more in ({}, {"resource": kept}, {"resource": kept, "scope": "reports:read"}):
        status, pair = refresh(client, pair["refresh_token"], **more)
        assert (status, aud(pair)) == (200, kept)
    for more in ({}, {"resource": kept}, {"resource": ""}):
        status, pair = spend(client, pair["refresh_token"], **more)
        assert (status, aud(pair)) == (200, kept)
    for other in {REPORTS, ORDERS, "https://portal.test", "https://other.test"} - {kept}:
        status, problem = refresh(client, pair["refresh_token"], resource=other)
        assert (status, problem["code"]) == (400, "invalid_target")
        assert spend(client, pair["refresh_token"], resource=other) == (400, AS_OAUTH_SAYS)
    assert refresh(client, pair["refresh_token"])[0] == 200  # a wrong wish spends nothing


@pytest.mark.usefixtures("reports")
@pytest.mark.parametrize("resource", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_another_resource_is_refused_and_not_quoted(
    client: Client, head: Head, developer: User, resource: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        body = urlencode({**GRANT, "resource": resource})
        answer = client.post("/oauth/token", body, FORM, secure=True, headers=head)
        login, body = basic(developer.email, PASSWORD), json.dumps({"resource": resource})
        sent = client.post("/api/v1/tokens", body, "application/json", secure=True, headers=login)
    assert (answer.status_code, answer.json()) == (400, AS_OAUTH_SAYS)
    problem = sent.json()
    assert (sent.status_code, problem["code"]) == (400, "invalid_target")
    assert problem["errors"] == [{"pointer": "/resource", "detail": "No token is issued for this resource"}]
    assert "WWW-Authenticate" not in sent.headers
    for said in (answer.content.decode(), sent.content.decode(), caplog.text):
        assert resource not in said
        assert json.dumps(resource).strip('"') not in said
    assert not TokenFamily.objects.exists()
    assert not Event.objects.filter(verb="token_issued").exists()


@pytest.mark.usefixtures("reports", "orders")
def test_one_token_is_for_one_service(client: Client, head: Head, log_in_for_tokens: LogIn) -> None:
    for twice in ([REPORTS, ORDERS], [REPORTS, REPORTS]):
        body = "&".join(["grant_type=client_credentials", *(f"resource={one}" for one in twice)])
        answer = client.post("/oauth/token", body, FORM, secure=True, headers=head)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
        problem = log_in_for_tokens(400, resource=twice)
        assert (problem["code"], problem["errors"][0]["pointer"]) == ("validation", "/resource")
    nothing: tuple[object, ...] = ("", {}, True)
    for one in nothing:
        problem = log_in_for_tokens(400, resource=one)
        assert problem["errors"][0]["pointer"] == "/resource"
    body = "grant_type=client_credentials&scope=reports:read&scope=reports:read"
    assert client.post("/oauth/token", body, FORM, secure=True, headers=head).json()["error"] == "invalid_request"
    assert not TokenFamily.objects.exists()


def test_a_client_is_authenticated_before_its_resource_is_read(
    client: Client, make_key: MakeKey, reports: Audience
) -> None:
    key, secret = make_key()
    for resource in (REPORTS, "https://other.test"):
        assert grant(client, basic(key.pk, f"{secret}x"), resource=resource)[1]["error"] == "invalid_client"
        assert spend(client, "kp_refresh_x", resource=resource)[1]["error"] == "invalid_grant"
        assert refresh(client, "kp_refresh_x", resource=resource)[1]["code"] == "invalid_grant"


def test_no_new_token_is_given_for_an_audience_that_was_removed(
    client: Client, head: Head, log_in_for_tokens: LogIn, reports: Audience
) -> None:
    pair = log_in_for_tokens(resource=REPORTS)
    services.remove_audience(audience=reports, origin=ORIGIN)
    assert grant(client, head, resource=REPORTS) == (400, AS_OAUTH_SAYS)
    for more in ({}, {"resource": REPORTS}, {"resource": "https://portal.test"}):
        assert refresh(client, pair["refresh_token"], **more)[1]["code"] == "invalid_target"
    services.add_audience(uri=REPORTS, description="again", origin=ORIGIN)
    assert aud(refresh(client, pair["refresh_token"])[1]) == REPORTS


def test_a_row_that_was_written_past_the_portal_gives_no_token(
    client: Client, head: Head, log_in_for_tokens: LogIn, reports: Audience, caplog: pytest.LogCaptureFixture
) -> None:
    pair = log_in_for_tokens(resource=REPORTS)
    Audience.objects.update(uri=ORDERS)
    with caplog.at_level(logging.ERROR):
        assert grant(client, head, resource=ORDERS) == (400, AS_OAUTH_SAYS)
    assert f"integrity_violation: the row seal of {reports.pk} does not match" in caplog.text
    TokenFamily.objects.update(audience=ORDERS)
    assert refresh(client, pair["refresh_token"])[1]["code"] == "invalid_grant"
    assert RefreshToken.objects.get().used_at is None


@pytest.mark.usefixtures("reports")
def test_the_database_is_asked_about_an_audience_only_where_one_may_be_kept(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert not any(is_registered(text) for text in ("", "reports", "\0", f"{REPORTS}#", "x" * 9000))
    with django_assert_num_queries(1):
        assert is_registered(REPORTS)


def test_the_page_of_apps_says_for_which_service_one_is(
    log_in: Callable[..., Client], log_in_for_tokens: LogIn, developer: User, reports: Audience
) -> None:
    log_in_for_tokens(resource=REPORTS)
    page = log_in(developer).get("/account/apps/", secure=True).content.decode()
    assert f'at <span class="mono">{REPORTS}</span>' in page
