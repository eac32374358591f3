"""A view of Django REST framework that asks for a key and a scope, as the README shows it."""

import json
from typing import Any

import pytest
from django.http import HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from apikeys.authentication import APIKeyAuthentication
from audit.client_address import parse_address
from credentials.admission import response_headers
from credentials.permissions import CredentialRefused, HasScope
from credentials.scopes.models import Scope
from credentials.usage.counters import usage_counters
from tests.conftest import MakeKey

pytestmark = pytest.mark.django_db


class ReportsView(APIView):
    authentication_classes = [APIKeyAuthentication]  # noqa: RUF012
    permission_classes = [HasScope("reports:read")]  # noqa: RUF012

    def get(self, request: Request) -> Response:
        return Response({"owner": request.user.pk, "email": str(request.user)})


class OpenView(ReportsView):
    authentication_classes = []  # noqa: RUF012


def answer(secret: str | None, view: Any = ReportsView, **extra: Any) -> HttpResponse:
    headers: dict[str, Any] = {} if secret is None else {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
    request = APIRequestFactory().get("/reports", **headers, **extra)
    response: HttpResponse = view.as_view()(request)
    return response


def test_a_key_with_the_scope_is_let_in(make_key: MakeKey, scopes: list[Scope]) -> None:
    key, secret = make_key(scopes=["reports:read"])
    given = answer(secret)
    assert given.status_code == 200
    assert getattr(given, "data", None) == {"owner": key.owner_id, "email": "dev@example.com"}


@pytest.mark.conformance("BR-07")
def test_a_key_without_the_scope_is_told_which_one_it_needs(make_key: MakeKey, scopes: list[Scope]) -> None:
    key, secret = make_key(scopes=["reports:write"])
    refused = answer(secret)
    assert refused.status_code == 403
    told = json.loads(refused.content)
    assert (told["key"], told["name"]) == (key.pk, key.name)
    assert 'error="insufficient_scope"' in refused["WWW-Authenticate"]
    assert 'scope="reports:read"' in refused["WWW-Authenticate"]
    assert b"insufficient_scope" in refused.content


def test_no_credential_and_one_that_nobody_took_are_401(make_key: MakeKey) -> None:
    assert b"missing_credential" in answer(None).content
    assert b"invalid_token" in answer("a.signed.token").content
    assert answer("a.signed.token").status_code == 401


@pytest.mark.conformance("BR-12")
def test_a_view_without_authentication_lets_nobody_in(make_key: MakeKey, scopes: list[Scope]) -> None:
    _, secret = make_key(scopes=["reports:read"])
    assert answer(secret, OpenView).status_code in (401, 403)
    assert answer(None, OpenView).status_code in (401, 403)


@pytest.mark.conformance("BR-08")
@pytest.mark.conformance("BR-10")
def test_a_credential_in_a_form_is_none_and_beside_a_header_too_many(make_key: MakeKey) -> None:
    _, secret = make_key()
    form: dict[str, Any] = {"data": f"access_token={secret}", "content_type": "application/x-www-form-urlencoded"}
    factory = APIRequestFactory()
    alone = ReportsView.as_view()(factory.post("/reports", **form))
    assert alone.status_code == 401
    both = ReportsView.as_view()(factory.post("/reports", HTTP_AUTHORIZATION=f"Bearer {secret}", **form))
    assert both.status_code == 400
    parts = factory.post(
        "/reports", {"access_token": secret}, format="multipart", HTTP_AUTHORIZATION=f"Bearer {secret}"
    )
    assert ReportsView.as_view()(parts).status_code == 400


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart"])
def test_a_form_without_a_credential_is_no_second_one(make_key: MakeKey, scopes: list[Scope], kind: str) -> None:
    _, secret = make_key(scopes=["reports:read"])
    factory, head = APIRequestFactory(), {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
    if kind == "multipart":
        request = factory.post("/reports", {"year": "2026"}, format=kind, **head)
    else:
        request = factory.post("/reports", "year=2026", content_type=kind, **head)
    assert ReportsView.as_view()(request).status_code == 405  # let in, and this view has no POST


@pytest.mark.parametrize(
    ("address", "status"), [("192.0.2.7", 200), ("198.51.100.7", 403), ("", 403), ("nowhere", 403)]
)
def test_a_key_is_judged_and_counted_by_the_address_of_its_caller(
    make_key: MakeKey, scopes: list[Scope], address: str, status: int
) -> None:
    key, secret = make_key(scopes=["reports:read"], networks=["192.0.2.0/24"])
    usage_counters().drain()
    assert answer(secret, REMOTE_ADDR=address).status_code == status
    [(asked, calls)] = usage_counters().drain().items()
    outcome = "accepted" if status == 200 else "network_refused"
    assert (asked.entry_point, asked.outcome, asked.credential, calls.count) == ("api", outcome, key.pk, 1)
    assert asked.address == (parse_address(address) if status == 200 else None)


def test_a_caller_without_an_address_is_judged_too(make_key: MakeKey) -> None:
    bound, free = make_key(networks=["192.0.2.0/24"])[1], make_key()[1]
    for secret, good in ((bound, False), (free, True)):
        request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {secret}")
        del request.META["REMOTE_ADDR"]
        if good:
            assert APIKeyAuthentication().authenticate(Request(request))
            continue
        with pytest.raises(CredentialRefused):
            APIKeyAuthentication().authenticate(Request(request))


def test_what_is_left_of_a_limit_is_noted_on_the_request(make_key: MakeKey, settings: Any) -> None:
    settings.KEYPORTAL_RATE_LIMIT = "5/hour"
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {make_key()[1]}")
    APIKeyAuthentication().authenticate(Request(request))
    assert response_headers(request)["RateLimit"].startswith('"default";r=4;')


def test_the_challenge_of_the_class_is_that_of_the_rfc() -> None:
    assert (
        APIKeyAuthentication().authenticate_header(Request(APIRequestFactory().get("/"))) == 'Bearer realm="keyportal"'
    )


def test_the_class_answers_none_for_what_is_not_its_own(make_key: MakeKey) -> None:
    classes: list[type[BaseAuthentication]] = [APIKeyAuthentication]
    for header in (None, "Basic YTpi", "Bearer a.b.c", "Bearer other_live_x"):
        given: dict[str, Any] = {} if header is None else {"HTTP_AUTHORIZATION": header}
        request = Request(APIRequestFactory().get("/", **given))
        assert classes[0]().authenticate(request) is None
