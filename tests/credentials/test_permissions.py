"""A view of Django REST framework that asks for a key and a scope, as the README shows it."""

from typing import Any

import pytest
from django.http import HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from apikeys.authentication import APIKeyAuthentication
from credentials.models import Scope
from credentials.permissions import HasScope
from tests.conftest import MakeKey

pytestmark = pytest.mark.django_db


class ReportsView(APIView):
    authentication_classes = [APIKeyAuthentication]  # noqa: RUF012
    permission_classes = [HasScope("reports:read")]  # noqa: RUF012

    def get(self, request: Request) -> Response:
        return Response({"owner": request.user.pk, "email": str(request.user)})


class NobodysView(ReportsView):
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
    _, secret = make_key(scopes=["reports:write"])
    refused = answer(secret)
    assert refused.status_code == 403
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
    assert answer(secret, NobodysView).status_code in (401, 403)
    assert answer(None, NobodysView).status_code in (401, 403)


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


def test_the_class_answers_none_for_what_is_not_its_own(make_key: MakeKey) -> None:
    classes: list[type[BaseAuthentication]] = [APIKeyAuthentication]
    for header in (None, "Basic YTpi", "Bearer a.b.c", "Bearer other_live_x"):
        given: dict[str, Any] = {} if header is None else {"HTTP_AUTHORIZATION": header}
        request = Request(APIRequestFactory().get("/", **given))
        assert classes[0]().authenticate(request) is None
