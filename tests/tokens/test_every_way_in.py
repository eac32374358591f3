"""Every way in, for every state of an account: one table (OWASP ASVS 6.3.4)."""

from collections.abc import Mapping
from typing import NamedTuple

import pytest

from tests.oauth_client import PASSWORD, ClientKey, OAuthClient, basic, json_of
from tests.portal import Portal

HEAD = "from accounts import services; from audit.origin import Origin; u = User.objects.get(email='{email}'); "
STATES = {
    "active": "",
    "unconfirmed": "services.unconfirm_user(user=u, origin=Origin.of_command('test'))",
    "inactive": "services.deactivate_user(user=u, origin=Origin.of_command('test'))",
    "deleted": "u.delete()",
    "second-factor": "from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret; "
    "TOTP.activate(u, generate_totp_secret())",
}


class Credentials(NamedTuple):
    """What the owner and their servers hold when the state changes."""

    client: ClientKey
    refresh_token: str
    user_token: str
    key_token: str


class Verdicts(NamedTuple):
    """What each way in answers."""

    password: str
    client_credentials: str
    refresh: str
    key: str
    user_token: str
    key_token: str


EXPECTED = {
    "active": Verdicts("200", "200", "200", "200", "200", "200"),
    "unconfirmed": Verdicts("account_unconfirmed", "invalid_client", "invalid_grant", *["account_unconfirmed"] * 3),
    "inactive": Verdicts("invalid_login", "invalid_client", "invalid_grant", *["owner_inactive"] * 3),
    "deleted": Verdicts("invalid_login", "invalid_client", "invalid_grant", *["invalid_token"] * 3),
    "second-factor": Verdicts("mfa_required", "200", "200", "200", "200", "200"),
}


@pytest.mark.security("A-13")
@pytest.mark.parametrize("state", STATES)
def test_every_pathway_knows_the_state_of_the_account(portal: Portal, oauth_client: OAuthClient, state: str) -> None:
    email = f"{state}@pathways.example"
    portal.make_developer(email)
    client = ClientKey(*portal.make_key(email))
    pair = oauth_client.log_in(email)
    held = Credentials(client, pair["refresh_token"], pair["access_token"], oauth_client.client_token(client))
    portal.make_developer(f"asks-about-{email}")
    asker = ClientKey(*portal.make_key(f"asks-about-{email}", "--scope", "credentials:verify", "--restricted"))
    portal.shell(HEAD.format(email=email) + STATES[state])
    found = verdicts(oauth_client, email, held)
    assert found == EXPECTED[state]
    shown = {client.secret: found.key, held.user_token: found.user_token, held.key_token: found.key_token}
    for credential, expected in shown.items():
        assert others(oauth_client, asker, credential) == {expected}


def others(oauth_client: OAuthClient, asker: ClientKey, credential: str) -> set[str]:
    """Return what the other endpoints say of a credential, in the words of the first one."""
    gate = oauth_client.portal.get("/gateway/auth", Authorization=f"Bearer {credential}")
    said_there = "200" if gate.status == 200 else gate.headers["x-keyportal-code"]
    heads = {"Authorization": f"Bearer {asker.secret}"}
    verified = json_of(oauth_client.post("/api/v1/verify", {"credential": credential}, **heads))
    asked = json_of(oauth_client.form("/oauth/introspect", {"token": credential}, client=asker))
    assert asked["active"] is (said_there == "200")
    return {said_there, "200" if verified["valid"] else verified["code"]}


def verdicts(oauth_client: OAuthClient, email: str, held: Credentials) -> Verdicts:
    answers = [
        oauth_client.post("/api/v1/tokens", Authorization=basic(email, PASSWORD)),
        oauth_client.token({"grant_type": "client_credentials"}, client=held.client),
        oauth_client.refresh(held.refresh_token),
        oauth_client.me(held.client.secret),
        oauth_client.me(held.user_token),
        oauth_client.me(held.key_token),
    ]
    return Verdicts(*[outcome_of(answer.status, json_of(answer)) for answer in answers])


def outcome_of(status: int, body: Mapping[str, str]) -> str:
    return "200" if status == 200 else str(body.get("code") or body["error"])
