"""What only Django has: requests of which a view may or may not look at the credential, forms, and sessions' users."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings

from keyportal_client.django import KeyportalMiddleware, authenticator, requires
from keyportal_client.errors import CredentialRefusedError
from keyportal_client.testing import InMemoryPortal
from keyportal_client.testing.plugin import MakeKey
from tests.clients.frameworks.services import SCOPE, as_django, exchange

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def project(keyportal: InMemoryPortal) -> Iterator[None]:
    """A project that the settings of the tests' own are not for."""
    with override_settings(**as_django({})):
        yield


def user_of(credential: Any) -> str:
    return f"row of {credential.owner_id}"


def test_a_view_that_does_not_look_at_the_credential_is_open(keyportal: InMemoryPortal) -> None:
    assert Client().get("/open").content == b'"open to all"'
    assert asyncio.run(exchange(ASGIHandler(), "/open")).body == "open to all"


def test_the_credential_is_checked_once_when_it_is_looked_at(keyportal: InMemoryPortal, api_key: MakeKey) -> None:
    key = api_key([SCOPE])
    assert Client().get("/open", headers=key.headers).status_code == 200
    assert keyportal.usage == {}
    assert Client().get("/lazy", headers=key.headers).status_code == 200  # it looks, and is decorated
    assert keyportal.usage == {key.id: {"accepted": 1}}


def test_an_event_loop_is_told_to_wait_instead_of_being_blocked(api_key: MakeKey) -> None:
    request: Any = RequestFactory().get("/", headers=api_key([SCOPE]).headers)
    KeyportalMiddleware(lambda request: HttpResponse())(request)

    async def look() -> None:
        with pytest.raises(SynchronousOnlyOperation, match=r"await request\.acredential"):
            _ = request.credential.kind
        assert (await request.acredential()).kind == "api_key"
        assert request.credential.kind == "api_key"

    asyncio.run(look())


def test_the_setting_may_name_the_function_that_finds_users(api_key: MakeKey) -> None:
    with override_settings(KEYPORTAL_USER=f"{__name__}.user_of"):
        seen = Client().get("/reports", headers=api_key([SCOPE]).headers).json()
    assert seen["user"] == f"row of {seen['owner']}"


def test_whoever_is_logged_in_is_not_the_user_of_a_request_with_a_credential(api_key: MakeKey) -> None:
    request: Any = RequestFactory().get("/", headers=api_key([SCOPE]).headers)
    request.user, request.auser = "of the session", None

    @requires(SCOPE)
    def view(request: Any) -> HttpResponse:
        return HttpResponse(f"{request.user}, {asyncio.run(request.auser())}")

    with override_settings(KEYPORTAL_USER=user_of):
        shown = view(request).content.decode()
    first, second = shown.split(", ")
    assert first == second
    assert first.startswith("row of usr_")


def test_a_form_of_another_site_is_no_danger_so_none_is_asked_for_a_token(api_key: MakeKey) -> None:
    middleware = ["django.middleware.csrf.CsrfViewMiddleware", "keyportal_client.django.KeyportalMiddleware"]
    with override_settings(MIDDLEWARE=middleware):
        client = Client(enforce_csrf_checks=True)
        assert client.post("/reports", headers=api_key([SCOPE]).headers).status_code == 200
        assert client.post("/reports").status_code == 401
        assert client.post("/open", headers=api_key([SCOPE]).headers).status_code == 403


def test_an_asynchronous_view_answers_under_wsgi(api_key: MakeKey) -> None:
    """Then Django calls the view before the event loop runs."""
    assert Client().get("/async").status_code == 401
    assert Client().get("/async", headers=api_key().headers).status_code == 403
    ending = Client().get("/async", headers=api_key([SCOPE], expires_at=timedelta(days=7)).headers)
    assert (ending.status_code, "X-Keyportal-Expires" in ending) == (200, True)


def test_settings_that_change_are_heeded(api_key: MakeKey) -> None:
    before = authenticator()
    with override_settings(KEYPORTAL_SERVICE="another"):
        assert authenticator() is not before


def test_outside_of_a_view_a_refusal_is_an_exception(keyportal: InMemoryPortal) -> None:
    request: Any = RequestFactory().get("/")
    KeyportalMiddleware(lambda request: HttpResponse())(request)
    with pytest.raises(CredentialRefusedError, match="missing_credential"):
        _ = request.credential.kind


def test_the_service_sees_the_clients_address_alike_in_both_servers(api_key: MakeKey) -> None:
    key = api_key([SCOPE], networks=["2001:db8::/32"])
    assert Client().get("/reports", headers=key.headers, REMOTE_ADDR="2001:db8::1").status_code == 200
    seen = asyncio.run(exchange(ASGIHandler(), "/async", (("Authorization", key.header),), "2001:db8::1"))
    assert seen.status == 200
