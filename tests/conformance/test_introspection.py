"""Introspection: RFC 7662."""

from typing import Any

import pytest

from tests.conformance.forging import Forger
from tests.oauth_client import ClientKey, OAuthClient, is_oauth_answer, json_of, repeat_until_limited
from tests.portal import Answer, Portal
from tests.typos import with_another_end
from vault.secret_format import new_secret

OWNER = "introspect@example.com"
VERIFY = ("--scope", "credentials:verify", "--restricted")


@pytest.fixture(scope="module")
def owner(portal: Portal) -> str:
    portal.shell("Scope.objects.get_or_create(name='i:read', defaults={'description': 'i'})")
    return portal.make_developer(OWNER)


@pytest.fixture(scope="module")
def caller(portal: Portal, owner: str) -> ClientKey:
    """A service that may ask."""
    return ClientKey(*portal.make_key(OWNER, *VERIFY, name="a service"))


@pytest.fixture(scope="module")
def client(portal: Portal, owner: str) -> ClientKey:
    """A client that may not."""
    return ClientKey(*portal.make_key(OWNER, "--scope", "i:read"))


@pytest.fixture
def pair(owner: str, oauth_client: OAuthClient) -> dict[str, Any]:
    return oauth_client.log_in(OWNER)


@pytest.fixture
def forger(portal: Portal, owner: str) -> Forger:
    return Forger(portal, owner)


def ask(oauth_client: OAuthClient, caller: ClientKey | None, token: str, **parameters: str) -> Answer:
    answer = oauth_client.form("/oauth/introspect", {"token": token, **parameters}, client=caller)
    is_oauth_answer(answer)
    return answer


@pytest.mark.conformance("IN-01")
@pytest.mark.conformance("IN-05")
def test_only_a_service_with_the_scope_may_ask(oauth_client: OAuthClient, caller: ClientKey, client: ClientKey) -> None:
    assert json_of(ask(oauth_client, caller, client.secret))["active"] is True
    stranger, refused = ClientKey(caller.id, new_secret("kp", "live")), (401, "invalid_client")
    for asking, why in ((None, refused), (client, (403, "insufficient_scope")), (stranger, refused)):
        answer = ask(oauth_client, asking, client.secret)
        assert (answer.status, json_of(answer)["error"]) == why
        assert "active" not in json_of(answer)


@pytest.mark.conformance("IN-02")
@pytest.mark.conformance("IN-09")
@pytest.mark.conformance("IN-10")
def test_what_is_good_is_described_and_no_more_than_needed(
    portal: Portal, oauth_client: OAuthClient, caller: ClientKey, client: ClientKey, pair: dict[str, Any], owner: str
) -> None:
    user_token = json_of(ask(oauth_client, caller, pair["access_token"]))
    key_token = json_of(ask(oauth_client, caller, oauth_client.client_token(client)))
    key = json_of(ask(oauth_client, caller, client.secret))
    refresh_token = json_of(ask(oauth_client, caller, pair["refresh_token"]))
    for answer in (user_token, key_token):
        assert {type(answer[name]) for name in ("exp", "iat", "nbf")} == {int}
        assert answer["jti"].startswith("tok_")
    for answer in (user_token, key_token, key):
        assert (answer["active"], answer["token_type"]) == (True, "Bearer")
        assert (answer["iss"], answer["owner"]) == (portal.url, owner)
    assert (user_token["aud"], key_token["aud"]) == (portal.url, portal.url)
    assert "aud" not in key  # it is good for every service
    assert (user_token["sub"], user_token["client_id"]) == (f"user:{owner}", "portal")
    assert (key_token["sub"], key_token["client_id"], key_token["scope"]) == (f"key:{client.id}", client.id, "i:read")
    assert (key["sub"], key["client_id"], key["scope"]) == (f"key:{client.id}", client.id, "i:read")
    assert (refresh_token["active"], refresh_token["token_type"]) == (True, "refresh_token")
    everything = str([user_token, key_token, key, refresh_token])
    for private in (OWNER, client.secret, client.secret[-4:] + "'", pair["refresh_token"], "fam_", "ref_", "sec_"):
        assert private not in everything


@pytest.mark.conformance("IN-03")
def test_what_is_not_good_is_inactive_and_nothing_else(
    portal: Portal, oauth_client: OAuthClient, caller: ClientKey, pair: dict[str, Any], forger: Forger
) -> None:
    gone = oauth_client.log_in(OWNER)
    oauth_client.form("/oauth/revoke", {"token": gone["refresh_token"], "client_id": "portal"})
    spent = oauth_client.log_in(OWNER)
    oauth_client.refresh(spent["refresh_token"])
    revoked = ClientKey(*portal.make_key(OWNER))
    portal.revoke_key(revoked.id)
    texts = {
        "random": "x",
        "unknown key": new_secret("kp", "live"),
        "wrong checksum": with_another_end(revoked.secret),
        "revoked key": revoked.secret,
        "revoked token": gone["access_token"],
        "revoked refresh token": gone["refresh_token"],
        "spent refresh token": spent["refresh_token"],
        "unknown refresh token": new_secret("kp", "refresh"),
        "bad signature": pair["access_token"][:-8] + "AAAAAAAA",
        **forger.forgeries(),
    }
    answers = {name: ask(oauth_client, caller, text) for name, text in texts.items()}
    assert {name: (a.status, a.body) for name, a in answers.items() if a.body != b'{"active": false}'} == {}
    assert {answer.status for answer in answers.values()} == {200}


@pytest.mark.conformance("IN-03")
@pytest.mark.parametrize("verb", ["deactivate_user", "unconfirm_user"])
def test_what_belongs_to_nobody_who_may_is_inactive(
    portal: Portal, oauth_client: OAuthClient, caller: ClientKey, verb: str
) -> None:
    email = f"{verb.replace('_', '-')}-in@example.com"
    portal.make_developer(email)
    client = ClientKey(*portal.make_key(email))
    pair = oauth_client.log_in(email)
    credentials = [client.secret, oauth_client.client_token(client), pair["access_token"], pair["refresh_token"]]
    assert [json_of(ask(oauth_client, caller, credential))["active"] for credential in credentials] == [True] * 4
    portal.shell(
        "from accounts import services; from audit.origin import Origin; "
        f"services.{verb}(user=User.objects.get(email='{email}'), origin=Origin.of_command('test'))"
    )
    assert oauth_client.wait_for_refusal(client.secret) == oauth_client.wait_for_refusal(pair["access_token"])
    assert [json_of(ask(oauth_client, caller, credential))["active"] for credential in credentials] == [False] * 4


def test_a_key_that_is_bound_to_a_network_is_active_from_there_only(
    portal: Portal, oauth_client: OAuthClient, caller: ClientKey
) -> None:
    bound = ClientKey(*portal.make_key(OWNER, name="bound"))
    token = oauth_client.client_token(bound)
    portal.shell(
        f"row = APIKey.objects.get(pk='{bound.id}'); row.networks = '192.0.2.0/24'; "
        "row.seal = row.make_seal(); row.save()"
    )
    assert oauth_client.wait_for_refusal(bound.secret) == "network_refused"
    for credential in (bound.secret, token):
        assert json_of(ask(oauth_client, caller, credential))["active"] is False
        assert json_of(ask(oauth_client, caller, credential, client_ip="198.51.100.7"))["active"] is False
        assert json_of(ask(oauth_client, caller, credential, client_ip="nonsense"))["active"] is False
        assert json_of(ask(oauth_client, caller, credential, client_ip="192.0.2.7"))["active"] is True


@pytest.mark.conformance("IN-06")
def test_introspection_takes_post_only(portal: Portal, client: ClientKey) -> None:
    answer = portal.get(f"/oauth/introspect?token={client.secret}")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert client.secret not in portal.log.read_text()


@pytest.mark.conformance("IN-07")
def test_a_token_is_needed_and_a_hint_is_not(oauth_client: OAuthClient, caller: ClientKey, client: ClientKey) -> None:
    answer = oauth_client.form("/oauth/introspect", {}, client=caller)
    assert (answer.status, json_of(answer)["error"]) == (400, "invalid_request")
    plain = ask(oauth_client, caller, client.secret).body
    for hint in ("access_token", "refresh_token", "banana"):
        assert ask(oauth_client, caller, client.secret, token_type_hint=hint).body == plain


@pytest.mark.conformance("IN-08")
def test_scanning_is_stopped_for_who_scans(
    portal: Portal, oauth_client: OAuthClient, caller: ClientKey, client: ClientKey
) -> None:
    scanner = ClientKey(*portal.make_key(OWNER, *VERIFY, name="a scanner"))
    over = repeat_until_limited(lambda: ask(oauth_client, scanner, "x"), amount=100)
    assert int(over.headers["retry-after"]) > 0
    assert json_of(ask(oauth_client, caller, client.secret))["active"] is True
