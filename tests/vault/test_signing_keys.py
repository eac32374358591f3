"""Signing keys: their ids, what of them is published, what is compared, and new ones."""

import base64
import hashlib
import json
from typing import Any

import pytest

from tests.signing_keys import KEYS
from vault.rings import RingKey
from vault.signing_keys import KEY_TYPES, SigningRing, base64url, new_signing_jwk, thumbprint

pytestmark = pytest.mark.once
PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k", "oth")
# RFC 7638 §3.1
RFC_7638 = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3o"
    "knjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu"
    "6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8a"
    "wapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
# RFC 8037 appendix A.3
RFC_8037 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


def ring(*keys: Any) -> SigningRing:
    return SigningRing.parse(json.dumps({"keys": list(keys)}))


@pytest.mark.conformance("JK-03")
def test_the_thumbprint_is_that_of_the_rfc() -> None:
    assert thumbprint(RFC_7638) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert thumbprint(RFC_8037) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    members = ",".join(f'"{name}":"{KEYS["ES256"][name]}"' for name in ("crv", "kty", "x", "y"))
    assert KEYS["ES256"]["kid"] == base64url(hashlib.sha256(f"{{{members}}}".encode()).digest())
    for algorithm in ("ES256", "EdDSA", "RS256"):
        assert KEYS[algorithm]["kid"] == thumbprint(KEYS[algorithm])


@pytest.mark.conformance("JK-04")
def test_the_id_of_a_shared_secret_says_nothing_of_it() -> None:
    one = new_signing_jwk("HS256")
    canonical = json.dumps({"k": one["k"], "kty": "oct"}, separators=(",", ":")).encode()
    digest = hashlib.sha256(canonical).digest()
    assert one["kid"] != base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert one["kid"] != new_signing_jwk("HS256")["kid"]


@pytest.mark.conformance("JK-01")
@pytest.mark.conformance("JK-02")
@pytest.mark.conformance("JK-05")
def test_the_published_set_holds_public_halves_and_no_shared_secret() -> None:
    published = ring(*KEYS.values()).public_set()["keys"]
    assert {key["kty"] for key in published} == {"EC", "OKP", "RSA"}
    for key in published:
        assert not key.keys() & {*PRIVATE, "key_ops"}
        assert key["use"] == "sig"
        assert key["alg"] in KEY_TYPES
        assert "=" not in "".join(key.values())
    by_type = {key["kty"]: key for key in published}
    assert by_type["RSA"]["e"] == "AQAB"
    for coordinate in ("x", "y"):
        assert len(base64.urlsafe_b64decode(by_type["EC"][coordinate] + "=")) == 32
    assert len({key["kid"] for key in published}) == 3


def test_what_verifies_can_not_sign() -> None:
    for key in ring(*KEYS.values()):
        is_secret = hasattr(key.public.key, "sign") or isinstance(key.public.key, bytes)
        assert is_secret == (key.algorithm == "HS256")
        signature = key.private.Algorithm.sign(b"raw", key.private.key)
        assert key.private.Algorithm.verify(b"raw", key.public.key, signature)


def test_what_a_key_says_of_its_use_does_not_matter() -> None:
    published = ring({**KEYS["ES256"], "use": "enc", "key_ops": ["encrypt"]}).public_set()["keys"]
    assert published == ring(KEYS["ES256"]).public_set()["keys"]


MEMBERS = {
    "ES256": {"kty", "crv", "x", "y", "d"},
    "EdDSA": {"kty", "crv", "x", "d"},
    "RS256": {"kty", "n", "e", "d", "p", "q", "dp", "dq", "qi"},
    "HS256": {"kty", "k"},
}


@pytest.mark.parametrize("algorithm", KEY_TYPES)
def test_a_new_key_is_fresh_and_says_what_it_is(algorithm: str) -> None:
    one, other = (new_signing_jwk(algorithm) for _ in range(2))
    assert one.keys() == {*MEMBERS[algorithm], "use", "alg", "kid"}
    assert (one["use"], one["alg"]) == ("sig", algorithm)
    assert {name: one[name] for name in KEY_TYPES[algorithm]} == KEY_TYPES[algorithm]
    private = "k" if algorithm == "HS256" else "d"
    assert one[private] != other[private]
    assert one["kid"] != other["kid"]
    assert [key.id for key in ring(one, other)] == [one["kid"], other["kid"]]
    assert ring(one).primary.algorithm == algorithm


def test_a_new_key_has_the_size_that_its_algorithm_needs() -> None:
    assert len(base64.urlsafe_b64decode(new_signing_jwk("HS256")["k"] + "=")) == 32
    assert len(base64.urlsafe_b64decode(new_signing_jwk("HS256")["kid"] + "==")) == 16
    rsa = new_signing_jwk("RS256")
    assert (len(base64.urlsafe_b64decode(rsa["n"])), rsa["e"]) == (384, "AQAB")
    for member in ("x", "y", "d"):
        assert len(base64.urlsafe_b64decode(new_signing_jwk("ES256")[member] + "=")) == 32


def test_base64url_has_its_own_alphabet_and_no_padding() -> None:
    assert base64url(bytes([251, 255, 190])) == "-_--"
    assert base64url(b"a") == "YQ"
    assert base64url(b"") == ""
    assert base64url(bytes([0, 0, 23])) == "AAAX"


def test_a_shared_secret_is_found_among_the_keys_of_other_rings() -> None:
    raw = base64.urlsafe_b64decode(KEYS["HS256"]["k"] + "=")
    same, other = RingKey("same", raw), RingKey("other", bytes(32))
    assert ring(KEYS["HS256"]).primary.is_material_of([other, same])
    assert not ring(KEYS["HS256"]).primary.is_material_of([other])
    assert not ring(KEYS["ES256"]).primary.is_material_of([other, same])


def test_nothing_of_a_key_is_shown() -> None:
    whole = ring(*KEYS.values())
    shown = repr(whole) + "".join(map(repr, whole)) + str(whole.primary)
    for jwk in KEYS.values():
        for member in PRIVATE:
            assert jwk.get(member, "\0") not in shown


def test_a_shared_secret_can_be_compared_and_a_key_pair_is_nobodys() -> None:
    secret = ring(KEYS["HS256"]).primary
    raw = base64.urlsafe_b64decode(KEYS["HS256"]["k"] + "=")
    assert secret.same_material(raw)
    assert not secret.same_material(bytes(32))
    assert not ring(KEYS["ES256"]).primary.same_material(raw)
