"""Published keys (RFC 7517, 7638): others verify tokens with them, also while the keys roll over."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from jwcrypto import jwt as jwcrypto_jwt
from jwcrypto.jwk import JWKSet
from jwt import get_unverified_header
from jwt.utils import base64url_decode

from tests.databases import portal_database
from tests.oauth_client import ClientKey, OAuthClient, json_of
from tests.portal import Portal
from tests.signing_keys import KEYS
from tests.waiting import DEADLINE, wait_until
from vault.signing_keys import new_signing_jwk, thumbprint

OWNER = "published@example.com"
JWKS = "/.well-known/jwks.json"
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}
pytestmark = pytest.mark.once


def document(portal: Portal, path: str) -> dict[str, Any]:
    answer = portal.get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return json_of(answer)


@contextmanager
def portal_with(folder: Path, *keys: dict[str, str]) -> Iterator[Portal]:
    """A portal of its own with this signing ring, and a developer in it."""
    with portal_database(folder) as database_url:
        portal = Portal(folder, database_url, KEYPORTAL_SIGNING_KEYS=ring(*keys))
        with portal.running(workers=1):
            portal.make_developer(OWNER)
            yield portal


def ring(*keys: dict[str, str]) -> str:
    return json.dumps({"keys": list(keys)})


@pytest.mark.conformance("JK-01")
@pytest.mark.conformance("JK-02")
@pytest.mark.conformance("JK-03")
@pytest.mark.conformance("JK-08")
@pytest.mark.finding("H38")
def test_the_keys_are_public_and_may_be_kept_for_a_while(portal: Portal) -> None:
    answer = portal.get(JWKS)
    for key in json_of(answer)["keys"]:
        assert not key.keys() & {*PRIVATE, "key_ops"}
        assert (key["use"], key["alg"], key["kid"]) == ("sig", "ES256", thumbprint(key))
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert "set-cookie" not in answer.headers
    again = portal.get(JWKS, **{"If-None-Match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864 calls it Ed25519; verifiers still learn that
@pytest.mark.conformance("JK-04")
@pytest.mark.conformance("JK-05")
@pytest.mark.conformance("JW-28")
@pytest.mark.conformance("MD-07")
def test_others_verify_each_algorithm_from_the_published_keys(tmp_path: Path) -> None:
    """One portal, restarted with each ring in turn."""
    with portal_with(tmp_path, KEYS["ES256"]) as portal:
        for algorithm in ("ES256", "EdDSA", "RS256"):
            restart(portal, KEYS[algorithm])
            token: str = OAuthClient(portal).log_in(OWNER)["access_token"]
            text = portal.get(JWKS).body.decode()
            assert "=" not in text
            (published,) = json.loads(text)["keys"]
            assert published.get("e", "AQAB") == "AQAB"
            assert {len(base64url_decode(published[name])) for name in ("x", "y") if name in published} <= {32}
            verified = joserfc_jwt.decode(token, joserfc_jwk.KeySet.import_key_set(json.loads(text)), [algorithm])
            assert verified.claims["iss"] == portal.url
            other = jwcrypto_jwt.JWT(jwt=token, key=JWKSet.from_json(text), algs=[algorithm])
            assert json.loads(other.claims)["jti"] == verified.claims["jti"]
        restart(portal, KEYS["HS256"])
        pair = OAuthClient(portal).log_in(OWNER)
        assert OAuthClient(portal).me(pair["access_token"]).status == 200
        assert document(portal, JWKS) == {"keys": []}
        shared: dict[str, Any] = {name: KEYS["HS256"][name] for name in ("kty", "k")}
        assert get_unverified_header(pair["access_token"])["kid"] != joserfc_jwk.OctKey.import_key(shared).thumbprint()


def restart(portal: Portal, *keys: dict[str, str]) -> None:
    portal.stop()
    portal.environment["KEYPORTAL_SIGNING_KEYS"] = ring(*keys)
    portal.start(workers=1)


class OfflineVerifier(threading.Thread):
    """Verifies fresh tokens against keys that it keeps as long as it may, and never asks about a token.

    While the portal restarts it waits, as a client would; a token that it can't verify is a failure.
    """

    def __init__(self, portal: Portal, client: ClientKey) -> None:
        super().__init__()
        self.portal = portal
        self.client = client
        self.keys: dict[str, Any] = {}
        self.fetched = threading.Event()
        self.over = threading.Event()
        self.verified: dict[str, int] = {}
        self.failures: list[str] = []

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self.round()
            except OSError:
                self.over.wait(0.02)
            self.over.wait(0.01)

    def round(self) -> None:
        if not self.fetched.is_set():
            published = json_of(self.portal.get(JWKS))["keys"]
            self.keys = {key["kid"]: joserfc_jwk.import_key(key) for key in published}
            self.fetched.set()
        answer = OAuthClient(self.portal).token({"grant_type": "client_credentials"}, client=self.client)
        if answer.status != 200:
            self.failures.append(answer.body.decode())
            return
        token = json_of(answer)["access_token"]
        kid = get_unverified_header(token)["kid"]
        if kid not in self.keys:
            self.failures.append(f"unknown key {kid}")
            return
        joserfc_jwt.decode(token, self.keys[kid], ["ES256"])
        self.verified[kid] = self.verified.get(kid, 0) + 1

    def has_verified_by(self, kid: str) -> None:
        """Wait until some more tokens by this key were verified."""
        enough = self.verified.get(kid, 0) + 3
        wait_until(lambda: self.failures or self.verified.get(kid, 0) >= enough)
        assert self.failures == []

    def keeps_keys_no_longer(self) -> None:
        """Let the keys grow as old as they may, and wait for the next ones."""
        self.fetched.clear()
        assert self.fetched.wait(DEADLINE)


@pytest.mark.conformance("JK-06")
@pytest.mark.conformance("JK-07")
@pytest.mark.security("K-04")
def test_keys_roll_over_without_a_failure_and_a_removed_one_is_dead(tmp_path: Path) -> None:
    old, new = (new_signing_jwk("ES256") for _ in range(2))
    with portal_with(tmp_path, old) as portal:
        held: str = OAuthClient(portal).log_in(OWNER)["access_token"]
        verifier = OfflineVerifier(portal, ClientKey(*portal.make_key(OWNER)))
        verifier.start()
        try:
            verifier.has_verified_by(old["kid"])
            restart(portal, old, new)  # publish the next
            verifier.has_verified_by(old["kid"])
            verifier.keeps_keys_no_longer()
            restart(portal, new, old)  # sign with it
            verifier.has_verified_by(new["kid"])
            assert OAuthClient(portal).me(held).status == 200
            restart(portal, new)  # retire the old one
            verifier.has_verified_by(new["kid"])
        finally:
            verifier.over.set()
            verifier.join()
        answer = OAuthClient(portal).me(held)
        assert (answer.status, json_of(answer)["code"]) == (401, "invalid_token")
        assert OAuthClient(portal).log_in(OWNER)
