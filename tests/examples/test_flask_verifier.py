"""The offline verifier: what it takes, what it refuses, and what it can't see."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from examples import flask_verifier
from tests.oauth_client import ENDED, ClientKey, OAuthClient
from tests.portal import Portal

pytestmark = pytest.mark.once


@pytest.fixture
def service(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    monkeypatch.setenv("KEYPORTAL_URL", portal.url)
    with flask_verifier.app.test_client() as client:
        yield client


def get_reports(service: FlaskClient, token: str) -> tuple[int, str]:
    answer = service.get("/reports", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.headers.get("WWW-Authenticate", "")


def test_it_takes_what_the_portal_signed_and_refuses_the_rest(
    service: FlaskClient, portal: Portal, oauth_client: OAuthClient
) -> None:
    portal.make_developer("offline@example.com")
    portal.shell("Scope.objects.get_or_create(name='reports:read', defaults={'description': 'Read'})")
    reader = ClientKey(*portal.make_key("offline@example.com", "--scope", "reports:read"))
    nobody = ClientKey(*portal.make_key("offline@example.com"))
    token = oauth_client.client_token(reader)
    assert get_reports(service, token) == (200, "")
    assert service.get("/reports", headers={"Authorization": f"Bearer {token}"}).json == {
        "reports": ["first", "second"],
        "reader": f"key:{reader.id}",
    }
    assert get_reports(service, oauth_client.client_token(nobody))[0] == 403
    head, body, signature = token.split(".")
    for bad in ("", "x", f"{head}.{body}.", f"{head}.{body}.{signature[::-1]}", reader.secret):
        status, challenge = get_reports(service, bad)
        assert (status, 'error="invalid_token"' in challenge) == (401, True)
    assert service.get("/reports").headers["WWW-Authenticate"] == 'Bearer realm="reports"'


@pytest.mark.finding("H39")
def test_it_takes_what_is_for_it_and_nothing_that_is_for_another(
    service: FlaskClient, portal: Portal, oauth_client: OAuthClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports, orders = "https://reports.example.net", "https://orders.example.net"
    portal.make_developer("named@example.com")
    portal.shell(
        "from tokens.services import add_audience; from audit.origin import Origin; "
        f"[add_audience(uri=uri, description='x', origin=Origin.of_command('test')) for uri in {(reports, orders)!r}]; "
        "Scope.objects.get_or_create(name='reports:read', defaults={'description': 'Read'})"
    )
    reader = ClientKey(*portal.make_key("named@example.com", "--scope", "reports:read"))
    plain, *named = [oauth_client.client_token(reader, resource=one) for one in ("", reports, orders)]
    assert [get_reports(service, token)[0] for token in (plain, *named)] == [200, 401, 401]
    monkeypatch.setenv("REPORTS_AUDIENCE", reports)
    assert [get_reports(service, token)[0] for token in (plain, *named)] == [401, 200, 401]


def test_it_can_not_see_that_a_token_was_revoked(
    service: FlaskClient, portal: Portal, oauth_client: OAuthClient
) -> None:
    """As docs/tokens.md says: a service that has to see it at once asks the portal."""
    portal.make_developer("unseen@example.com")
    portal.shell("Scope.objects.get_or_create(name='reports:read', defaults={'description': 'Read'})")
    token: str = oauth_client.log_in("unseen@example.com")["access_token"]
    assert oauth_client.form("/oauth/revoke", {"token": token, "client_id": "portal"}).status == 200
    assert oauth_client.wait_for_refusal(token) in ENDED
    assert get_reports(service, token)[0] == 200
