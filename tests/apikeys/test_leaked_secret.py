"""A leaked secret is worth nothing once its owner has rotated it away, nor are the tokens that it was exchanged for."""

import json
from typing import Any

import pytest

from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Answer, Portal

KEYS = "/api/v1/keys"
TRIES = 12  # on two workers, each of which may have the token cached


def call(portal: Portal, credential: str, method: str, path: str, body: Any = None) -> Answer:
    headers = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json"}
    return portal.request(method, path, headers=headers, body=json.dumps(body or {}).encode())


@pytest.mark.parametrize("ends_by", ["rotate", "end-overlap"])
def test_what_a_leaked_secret_was_exchanged_for_ends_with_it(
    portal: Portal, oauth_client: OAuthClient, ends_by: str
) -> None:
    owner = f"leaked-{ends_by}@example.com"
    portal.make_developer(owner)
    asker = ClientKey(*portal.make_key(owner, "--scope", "credentials:verify", "--restricted"))
    leaked = ClientKey(*portal.make_key(owner, "--scope", "keys:read", "--scope", "keys:write"))
    token = oauth_client.client_token(leaked, scope="keys:read keys:write")
    path = f"{KEYS}/{leaked.id}"

    def statuses() -> dict[str, set[int]]:
        seen: dict[str, set[int]] = {}
        for _ in range(TRIES):
            seen.setdefault("me", set()).add(oauth_client.me(token).status)
            seen.setdefault("keys", set()).add(call(portal, token, "GET", KEYS).status)
            seen.setdefault("gateway", set()).add(call(portal, token, "GET", "/gateway/auth").status)
        return seen

    assert statuses() == {"me": {200}, "keys": {200}, "gateway": {200}}
    overlap = 0 if ends_by == "rotate" else "1h"
    new = json.loads(call(portal, leaked.secret, "POST", f"{path}/rotate", {"overlap": overlap}).body)["secret"]
    if ends_by == "end-overlap":
        assert statuses() == {"me": {200}, "keys": {200}, "gateway": {200}}
        assert call(portal, token, "POST", KEYS, {"name": "accomplice"}).status == 403
        assert call(portal, new, "POST", f"{path}/end-overlap").status == 200
    assert statuses() == {"me": {401}, "keys": {401}, "gateway": {401}}
    assert call(portal, token, "POST", KEYS, {"name": "accomplice"}).status == 401
    introspected = oauth_client.form("/oauth/introspect", {"token": token}, client=asker)
    assert json.loads(introspected.body) == {"active": False}
    assert json.loads(oauth_client.me(token).body)["code"] == "retired"
    of_new = oauth_client.client_token(ClientKey(leaked.id, new), scope="keys:read")
    assert oauth_client.me(of_new).status == 200
