"""Resource indicators: RFC 8707, and that a token for one service is good at no other."""

import base64
import json
from typing import Any

import pytest

from tests.conformance.forging import Forger
from tests.oauth_client import PASSWORD, ClientKey, OAuthClient, basic, is_oauth_answer, json_of
from tests.portal import Answer, Portal
from tests.staleness import IN_A_ROW, wait_until_refused
from vault.secret_format import new_secret

pytestmark = pytest.mark.finding("H39")
OWNER = "resources@example.com"
REPORTS, ORDERS = "https://reports.example", "urn:example:orders"
GRANT = {"grant_type": "client_credentials"}
UNKNOWN = ("https://unknown.example", "reports", f"{REPORTS}#x", f"{REPORTS}/", "\0", "é" * 99)


@pytest.fixture(scope="module")
def owner(portal: Portal) -> str:
    portal.shell(
        "from tokens.services import add_audience; from audit.origin import Origin; "
        f"[add_audience(uri=uri, description='x', origin=Origin.of_command('test')) for uri in {(REPORTS, ORDERS)!r}]"
    )
    return portal.make_developer(OWNER)


@pytest.fixture(scope="module")
def caller(portal: Portal, owner: str) -> ClientKey:
    """A service that may ask."""
    return ClientKey(*portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted"))


def aud(issued: dict[str, Any]) -> str:
    claims = json.loads(base64.urlsafe_b64decode(issued["access_token"].split(".")[1] + "=="))
    return str(claims["aud"])


def log_in(oauth_client: OAuthClient, resource: str) -> Answer:
    return oauth_client.post("/api/v1/tokens", {"resource": resource}, Authorization=basic(OWNER, PASSWORD))


@pytest.mark.conformance("RI-01")
@pytest.mark.conformance("RI-02")
@pytest.mark.parametrize("resource", UNKNOWN, ids=ascii)
def test_what_is_no_resource_of_ours_is_an_invalid_target(
    oauth_client: OAuthClient, caller: ClientKey, resource: str
) -> None:
    answer = oauth_client.token({**GRANT, "resource": resource}, client=caller)
    is_oauth_answer(answer)
    assert (answer.status, json_of(answer)["error"]) == (400, "invalid_target")
    assert resource not in json_of(answer)["error_description"]
    problem = log_in(oauth_client, resource)
    code = "validation" if resource == "\0" else "invalid_target"  # no text of an API has such a character
    assert (problem.status, json_of(problem)["code"]) == (400, code)
    assert [error["pointer"] for error in json_of(problem)["errors"]] == ["/resource"]
    assert resource not in json.dumps(json_of(problem), ensure_ascii=False)


@pytest.mark.conformance("RI-02")
def test_a_token_is_for_one_resource(oauth_client: OAuthClient, caller: ClientKey) -> None:
    for second in (REPORTS, ORDERS):
        answer = oauth_client.token(
            f"grant_type=client_credentials&resource={REPORTS}&resource={second}", client=caller
        )
        is_oauth_answer(answer)
        assert (answer.status, json_of(answer)["error"]) == (400, "invalid_target")


@pytest.mark.conformance("RI-03")
def test_the_audience_is_the_resource_or_the_portal_s_own(
    portal: Portal, oauth_client: OAuthClient, caller: ClientKey
) -> None:
    assert aud(json_of(oauth_client.token(GRANT, client=caller))) == portal.url
    for resource in (REPORTS, ORDERS, portal.url):
        assert aud(json_of(oauth_client.token({**GRANT, "resource": resource}, client=caller))) == resource
        assert aud(json_of(log_in(oauth_client, resource))) == resource


@pytest.mark.conformance("RI-04")
def test_a_refresh_is_for_what_the_log_in_was_for(oauth_client: OAuthClient, owner: str) -> None:
    pair = json_of(log_in(oauth_client, REPORTS))
    refused = oauth_client.refresh(pair["refresh_token"], resource=ORDERS)
    assert (refused.status, json_of(refused)["error"]) == (400, "invalid_target")
    introspected_status = {"refresh_token": pair["refresh_token"], "resource": ORDERS}
    assert json_of(oauth_client.post("/api/v1/tokens/refresh", introspected_status))["code"] == "invalid_target"
    pair = json_of(oauth_client.refresh(pair["refresh_token"], resource=REPORTS))
    assert aud(pair) == REPORTS
    assert (
        aud(json_of(oauth_client.post("/api/v1/tokens/refresh", {"refresh_token": pair["refresh_token"]}))) == REPORTS
    )


@pytest.mark.conformance("RI-05")
@pytest.mark.conformance("JW-16")
@pytest.mark.conformance("BR-05")
def test_a_token_for_another_is_unknown_at_every_entry_point_remembered_or_not(
    portal: Portal, oauth_client: OAuthClient, caller: ClientKey, owner: str
) -> None:
    _, secret = portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted")
    mine = json_of(oauth_client.token({**GRANT, "resource": REPORTS}, client=caller))["access_token"]
    kinds = {REPORTS: mine, ORDERS: json_of(log_in(oauth_client, ORDERS))["access_token"]}
    kinds["https://other.example"] = Forger(portal, owner).for_another()
    unknown = entry_points(portal, oauth_client, secret, new_secret("kp", "live"))
    assert {status for status, *_ in unknown} == {200, 401}
    for kind, token in kinds.items():
        assert entry_points(portal, oauth_client, secret, token) == unknown, kind
        for _ in range(IN_A_ROW):  # introspection takes it, and then its worker has it cached
            introspected_status = {"token": token, "audience": kind}
            assert json_of(oauth_client.form("/oauth/introspect", introspected_status, client=caller))["active"] is True
        for _ in range(IN_A_ROW):
            assert entry_points(portal, oauth_client, secret, token) == unknown, kind


def entry_points(portal: Portal, oauth_client: OAuthClient, asker: str, credential: str) -> list[tuple[object, ...]]:
    """Return what the portal's own entry points answer a credential, and what a service is told of it."""
    gate = portal.get("/gateway/auth", Authorization=f"Bearer {credential}")
    answers = [
        oauth_client.me(credential),
        oauth_client.post("/api/v1/verify", {"credential": "x"}, Authorization=f"Bearer {credential}"),
        oauth_client.post("/api/v1/verify", {"credential": credential}, Authorization=f"Bearer {asker}"),
    ]
    told_of_gate = (gate.status, gate.headers.get("x-keyportal-code"), gate.headers.get("www-authenticate"))
    return [told_of_gate, *((one.status, one.body, one.headers.get("www-authenticate")) for one in answers)]


@pytest.mark.conformance("IN-02")
def test_introspection_says_whom_a_token_is_for(portal: Portal, oauth_client: OAuthClient, caller: ClientKey) -> None:
    for resource in (REPORTS, portal.url):
        token = json_of(oauth_client.token({**GRANT, "resource": resource}, client=caller))["access_token"]
        introspected_status = {"token": token, "audience": resource}
        assert json_of(oauth_client.form("/oauth/introspect", introspected_status, client=caller))["aud"] == resource


@pytest.mark.conformance("RV-11")
def test_a_token_for_another_can_be_ended(oauth_client: OAuthClient, caller: ClientKey, portal: Portal) -> None:
    def introspected_status(token: str) -> int:
        answer = json_of(oauth_client.form("/oauth/introspect", {"token": token, "audience": REPORTS}, client=caller))
        return 200 if answer["active"] else 401

    by_client = json_of(oauth_client.token({**GRANT, "resource": REPORTS}, client=caller))["access_token"]
    by_holder = json_of(log_in(oauth_client, REPORTS))["access_token"]
    assert introspected_status(by_client) == introspected_status(by_holder) == 200
    assert oauth_client.form("/oauth/revoke", {"token": by_client}, client=caller).status == 200
    ended = portal.request("DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {by_holder}"})
    assert ended.status == 204
    wait_until_refused(lambda: introspected_status(by_client))
    wait_until_refused(lambda: introspected_status(by_holder))
