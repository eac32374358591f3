"""Refresh tokens: RFC 6749 §6 with RFC 9700 §4.14."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.test_oauth_token import payload
from tests.databases import portal_database
from tests.oauth_client import ENDED, ClientKey, OAuthClient, is_oauth_answer, json_of
from tests.portal import Answer, Portal
from vault.secret_format import new_secret

OWNER = "refresh@example.com"
ORIGIN = "from accounts import services; from audit.origin import Origin; origin = Origin.of_command('test'); "
RESEAL = "row.seal = row.make_seal(); row.save()"


@pytest.fixture(scope="module")
def owner(portal: Portal) -> str:
    portal.shell(
        "Scope.objects.get_or_create(name='r:read', defaults={'description': 'r'}); "
        "Scope.objects.get_or_create(name='r:write', defaults={'description': 'r'})"
    )
    return portal.make_developer(OWNER)


@pytest.fixture
def pair(owner: str, oauth_client: OAuthClient) -> dict[str, Any]:
    """A fresh log-in's tokens."""
    return oauth_client.log_in(OWNER)


def assert_refused(answer: Answer, error: str = "invalid_grant") -> bytes:
    is_oauth_answer(answer)
    assert (answer.status, json_of(answer)["error"]) == (400, error)
    return answer.body


def events(portal: Portal, verb: str, owner: str) -> int:
    return int(portal.shell(f"print(Event.objects.filter(verb='{verb}', subject_id='{owner}').count())"))


@pytest.mark.conformance("RF-01")
def test_a_refresh_token_buys_the_next_pair_at_either_endpoint(oauth_client: OAuthClient, pair: dict[str, Any]) -> None:
    at_oauth = oauth_client.refresh(pair["refresh_token"])
    is_oauth_answer(at_oauth)
    at_api = oauth_client.post("/api/v1/tokens/refresh", {"refresh_token": json_of(at_oauth)["refresh_token"]})
    assert (at_oauth.status, at_api.status) == (200, 200)
    assert at_api.headers["cache-control"] == "no-store"
    tokens = [pair, json_of(at_oauth), json_of(at_api)]
    assert len({payload(token["access_token"])["jti"] for token in tokens}) == 3
    assert len({token["refresh_token"] for token in tokens}) == 3
    issued = [payload(token["access_token"])["iat"] for token in tokens]
    assert issued == sorted(issued)
    assert oauth_client.me(tokens[-1]["access_token"]).status == 200


@pytest.mark.conformance("RF-02")
@pytest.mark.conformance("RF-05")
@pytest.mark.conformance("RF-10")
def test_whatever_is_no_good_is_refused_alike(portal: Portal, oauth_client: OAuthClient, owner: str) -> None:
    ended, idle = (oauth_client.log_in(OWNER) for _ in range(2))
    assert oauth_client.form("/oauth/revoke", {"token": ended["refresh_token"], "client_id": "portal"}).status == 200
    portal.shell(
        "from django.utils import timezone; "
        f"row = RefreshToken.objects.with_secret('{idle['refresh_token']}').get(); "
        f"row.expires_at = timezone.now(); {RESEAL}"
    )
    bad = [
        new_secret("kp", "refresh"),
        "garbage",
        "kp_refresh_",
        pair_of(oauth_client)["access_token"],
        new_secret("kp", "live"),
        ended["refresh_token"],
        idle["refresh_token"],
        "kp_refresh_" + "é" * 49,
        "\0",
    ]
    assert len({assert_refused(oauth_client.refresh(token)) for token in bad}) == 1
    answers = [oauth_client.post("/api/v1/tokens/refresh", {"refresh_token": token}) for token in bad[:-1]]
    assert {(answer.status, json_of(answer)["code"]) for answer in answers} == {(400, "invalid_grant")}


def pair_of(oauth_client: OAuthClient) -> dict[str, Any]:
    return oauth_client.log_in(OWNER)


@pytest.mark.parametrize("body", [{}, {"refresh_token": None}, {"refresh_token": []}, [], "x", 5])
def test_a_body_that_is_none_is_told_what_is_wrong(oauth_client: OAuthClient, body: object) -> None:
    answer = oauth_client.post("/api/v1/tokens/refresh", body)
    assert (answer.status, json_of(answer)["code"]) == (400, "validation")
    assert assert_refused(oauth_client.token({"grant_type": "refresh_token"}), "invalid_request")


@pytest.mark.conformance("RF-03")
def test_another_client_is_refused_and_spends_nothing(
    portal: Portal, oauth_client: OAuthClient, pair: dict[str, Any]
) -> None:
    other = ClientKey(*portal.make_key(OWNER))
    grant = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    assert_refused(oauth_client.token(grant, client=other))
    assert_refused(oauth_client.token({**grant, "client_id": other.id, "client_secret": other.secret}))
    assert oauth_client.token({**grant, "client_id": other.id}).status == 401
    assert oauth_client.token({**grant, "client_id": "portal"}).status == 200


@pytest.mark.conformance("RF-04")
def test_scopes_can_be_narrowed_for_a_while_and_never_widened(oauth_client: OAuthClient, owner: str) -> None:
    answer = oauth_client.post("/api/v1/tokens", {"scope": "r:read"}, Authorization=oauth_client.basic(OWNER))
    assert json_of(answer)["scope"] == "r:read"
    assert_refused(oauth_client.refresh(json_of(answer)["refresh_token"], scope="r:read r:write"), "invalid_scope")
    wide = json_of(
        oauth_client.post("/api/v1/tokens", {"scope": "r:write r:read"}, Authorization=oauth_client.basic(OWNER))
    )
    narrow = json_of(oauth_client.refresh(wide["refresh_token"], scope="r:read"))
    assert narrow["scope"] == payload(narrow["access_token"])["scope"] == "r:read"
    again = json_of(oauth_client.refresh(narrow["refresh_token"]))
    assert again["scope"] == payload(again["access_token"])["scope"] == "r:read r:write"
    wider = oauth_client.post(
        "/api/v1/tokens/refresh", {"refresh_token": again["refresh_token"], "scope": "credentials:verify"}
    )
    assert (wider.status, json_of(wider)["code"]) == (400, "invalid_scope")


@pytest.mark.conformance("RF-05")
def test_a_refresh_token_is_no_access_token(oauth_client: OAuthClient, pair: dict[str, Any]) -> None:
    answer = oauth_client.me(pair["refresh_token"])
    assert (answer.status, json_of(answer)["code"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.conformance("RF-06")
@pytest.mark.security("L-02")
def test_a_token_that_is_used_twice_ends_its_family(
    portal: Portal, oauth_client: OAuthClient, pair: dict[str, Any], owner: str
) -> None:
    before = events(portal, "refresh_reuse", owner)
    bystander = oauth_client.log_in(OWNER)
    successor = json_of(oauth_client.refresh(pair["refresh_token"]))
    assert_refused(oauth_client.refresh(pair["refresh_token"]))
    assert_refused(oauth_client.refresh(successor["refresh_token"]))
    assert oauth_client.wait_for_refusal(successor["access_token"]) == "revoked"
    assert events(portal, "refresh_reuse", owner) == before + 1
    assert oauth_client.refresh(bystander["refresh_token"]).status == 200


@pytest.fixture
def lenient(tmp_path: Path) -> Iterator[OAuthClient]:
    with portal_database(tmp_path) as database_url:
        with Portal(tmp_path, database_url, KEYPORTAL_REFRESH_GRACE="30").running() as portal:
            yield OAuthClient(portal)


@pytest.mark.conformance("RF-07")
def test_a_grace_forgives_a_second_try_and_revives_nothing(lenient: OAuthClient) -> None:
    lenient.portal.make_developer(OWNER)
    first = lenient.log_in(OWNER)
    second = json_of(lenient.refresh(first["refresh_token"]))
    assert_refused(lenient.refresh(first["refresh_token"]))  # refused, and nothing is lost by it
    third = json_of(lenient.refresh(second["refresh_token"]))
    assert lenient.form("/oauth/revoke", {"token": third["refresh_token"], "client_id": "portal"}).status == 200
    for token in (first, second, third):
        assert_refused(lenient.refresh(token["refresh_token"]))
        assert lenient.me(token["access_token"]).status == 401


@pytest.mark.conformance("RF-09")
def test_the_absolute_lifetime_survives_rotation(
    portal: Portal, oauth_client: OAuthClient, pair: dict[str, Any]
) -> None:
    portal.shell(
        "from datetime import timedelta; from django.utils import timezone; "
        f"row = RefreshToken.objects.with_secret('{pair['refresh_token']}').get().family; "
        f"row.expires_at = timezone.now() + timedelta(hours=1); {RESEAL}"
    )
    successor = json_of(oauth_client.refresh(pair["refresh_token"]))["refresh_token"]
    within = portal.shell(
        f"t = RefreshToken.objects.with_secret('{successor}').get(); print(t.expires_at == t.family.expires_at)"
    )
    assert within == "True"
    portal.shell(
        "from django.utils import timezone; "
        f"row = RefreshToken.objects.with_secret('{successor}').get().family; row.expires_at = timezone.now(); {RESEAL}"
    )
    assert_refused(oauth_client.refresh(successor))


ENDS = {
    "password change": "services.set_password(user=u, password='correct horse battery staple', origin=origin)",
    "deactivation": "services.deactivate_user(user=u, origin=origin); services.reactivate_user(user=u, origin=origin)",
    "un-confirming": "services.unconfirm_user(user=u, origin=origin); services.confirm_user(user=u, origin=origin)",
    "sign out everywhere": "services.end_all_tokens(user=u, origin=origin)",
}


@pytest.mark.conformance("RF-11")
@pytest.mark.parametrize("change", ENDS.values(), ids=ENDS)
def test_what_ends_an_account_s_tokens_ends_them_for_good(
    portal: Portal, oauth_client: OAuthClient, pair: dict[str, Any], change: str
) -> None:
    portal.shell(f"{ORIGIN}u = User.objects.get(email='{OWNER}'); {change}")
    assert_refused(oauth_client.refresh(pair["refresh_token"]))
    assert oauth_client.wait_for_refusal(pair["access_token"]) in ENDED
    assert oauth_client.me(oauth_client.log_in(OWNER)["access_token"]).status == 200


@pytest.mark.parametrize(
    "tamper",
    [
        "TokenFamily.objects.filter(pk=f).update(user=User.objects.create_user('moved@example.com'))",
        "TokenFamily.objects.filter(pk=f).update(scopes='credentials:verify')",
        "RefreshToken.objects.filter(family=f).update(expires_at=timezone.now() + timedelta(days=300))",
        "TokenFamily.objects.filter(pk=f).update(expires_at=timezone.now() + timedelta(days=300))",
        "TokenFamily.objects.filter(pk=f).update(epoch=7); User.objects.filter(pk=u).update(auth_epoch=7)",
    ],
)
def test_who_can_write_the_database_mints_nothing(portal: Portal, oauth_client: OAuthClient, tamper: str) -> None:
    email = f"tampered{abs(hash(tamper))}@example.com"
    user = portal.make_developer(email)
    pair = oauth_client.log_in(email)
    portal.shell(
        "from datetime import timedelta; from django.utils import timezone; "
        f"u = '{user}'; f = TokenFamily.objects.get(user=u).pk; {tamper}"
    )
    assert_refused(oauth_client.refresh(pair["refresh_token"]))
    assert "integrity_violation" in portal.log.read_text()
