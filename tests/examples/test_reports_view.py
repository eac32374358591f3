"""The protected view: who gets in, and what the others are told."""

import pytest
from django.test import Client
from django.urls import path

from credentials.scopes.models import Scope
from examples.reports_view import ReportsView
from keyportal.urls import urlpatterns as portal
from tests.conftest import MakeKey

urlpatterns = [*portal, path("api/reports", ReportsView.as_view())]


@pytest.mark.django_db
@pytest.mark.urls(__name__)
def test_it_lets_in_who_may_and_says_why_to_the_others(client: Client, make_key: MakeKey, scopes: list[Scope]) -> None:
    reader, secret = make_key(scopes=["reports:read"])
    _, without = make_key()

    def get_reports(credential: str | None) -> tuple[int, dict[str, str]]:
        heads = {"Authorization": f"Bearer {credential}"} if credential else {}
        answer = client.get("/api/reports", secure=True, headers=heads)
        return answer.status_code, answer.json()

    assert get_reports(secret) == (200, {"reports": ["first", "second"], "owner": reader.owner_id})
    refused = [(status, body["code"]) for status, body in (get_reports(bad) for bad in (None, "kp_live_x", without))]
    assert refused == [(401, "missing_credential"), (401, "invalid_token"), (403, "insufficient_scope")]
