"""Signatures of access tokens: what a key of the ring signed is read, and nothing that merely resembles it."""

import base64
import hashlib
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.signing_keys import KEYS
from tests.vault.access_tokens import (
    CLAIMS,
    HEADER,
    PAYLOAD,
    RINGS,
    TOKEN,
    assert_refused,
    read_token,
    sign_parts,
    with_header,
)
from vault.signing import sign
from vault.signing_keys import KEY_TYPES, SigningRing, base64url, new_signing_jwk

pytestmark = pytest.mark.once


@pytest.mark.conformance("JW-28")
@pytest.mark.parametrize("algorithm", KEY_TYPES)
def test_what_was_signed_is_read_whichever_key_signed_it(algorithm: str) -> None:
    assert read_token(sign(RINGS[algorithm], CLAIMS)) == CLAIMS
    assert read_token(
        sign_parts({**HEADER, "alg": algorithm, "kid": KEYS[algorithm]["kid"]}, PAYLOAD, algorithm=algorithm)
    )


@pytest.mark.sweep
@pytest.mark.conformance("JW-21")
@pytest.mark.parametrize("algorithm", KEY_TYPES)
def test_no_bit_can_be_flipped(algorithm: str) -> None:
    genuine = sign(RINGS[algorithm], CLAIMS).encode()
    for bit in range(8 * len(genuine)):
        raw = bytearray(genuine)
        raw[bit // 8] ^= 1 << bit % 8
        assert_refused(raw.decode("latin-1"))


@pytest.mark.conformance("JW-21")
@pytest.mark.parametrize("algorithm", KEY_TYPES)
def test_a_signature_can_not_be_cut_emptied_or_blanked(algorithm: str) -> None:
    token = sign(RINGS[algorithm], CLAIMS)
    unsigned, _, signature = token.rpartition(".")
    blank = base64url(bytes(len(base64.urlsafe_b64decode(signature + "=="))))
    for bad in ("", signature[:-1], signature[:-4], signature + "AAAA", blank, signature[::-1]):
        assert_refused(f"{unsigned}.{bad}")
    assert_refused(unsigned)


ALGORITHMS = (
    "none",
    "None",
    "NONE",
    "noNe",
    "",
    "HS256",
    "HS512",
    "es256",
    "ES256 ",
    "ES384",
    "RS256",
    "PS256",
    None,
    5,
)


@pytest.mark.conformance("JW-04")
@pytest.mark.conformance("JW-06")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_header_can_not_choose_the_algorithm(algorithm: object) -> None:
    assert_refused(with_header(alg=algorithm))
    unsigned = with_header(alg=algorithm).rpartition(".")[0]
    assert_refused(f"{unsigned}.")
    assert_refused(f"{unsigned}.{TOKEN.rpartition('.')[2]}")


@pytest.mark.conformance("JW-06")
@pytest.mark.parametrize("theirs", KEY_TYPES)
@pytest.mark.parametrize("ours", KEY_TYPES)
def test_one_key_has_one_algorithm(ours: str, theirs: str) -> None:
    if ours == theirs:
        return
    assert_refused(sign_parts({**HEADER, "alg": theirs, "kid": KEYS[ours]["kid"]}, PAYLOAD, algorithm=theirs))
    assert_refused(sign_parts({**HEADER, "alg": ours, "kid": KEYS[theirs]["kid"]}, PAYLOAD, algorithm=ours))
    assert_refused(sign_parts({**HEADER, "alg": theirs, "kid": KEYS[theirs]["kid"]}, PAYLOAD, algorithm=ours))


@pytest.mark.conformance("JW-06")
@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "PS512"])
def test_an_rsa_key_does_not_serve_its_other_algorithms(algorithm: str) -> None:
    key = RINGS["RS256"].primary.private.key
    assert_refused(jwt.encode(dict(PAYLOAD), key, algorithm, headers={"kid": KEYS["RS256"]["kid"], "typ": "at+jwt"}))


def public_texts() -> list[bytes]:
    texts: list[bytes] = []
    for algorithm in ("ES256", "EdDSA", "RS256"):
        public = RINGS[algorithm].primary.public.key
        info = PublicFormat.SubjectPublicKeyInfo
        pem = public.public_bytes(Encoding.PEM, info)
        texts += [pem, pem.strip(), pem.replace(b"\n", b"\r\n"), public.public_bytes(Encoding.DER, info)]
        texts += [public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)]
        jwk = RINGS[algorithm].primary.public_jwk()
        texts += [json.dumps(jwk).encode(), json.dumps({"keys": [jwk]}).encode(), jwk["kid"].encode()]
    return texts


@pytest.mark.conformance("JW-05")
@pytest.mark.parametrize("kid", [key["kid"] for key in KEYS.values()], ids=KEYS)
def test_what_is_public_is_no_shared_secret(kid: str) -> None:
    for text in public_texts():
        unsigned = f"{base64url(json.dumps({**HEADER, 'alg': 'HS256', 'kid': kid}).encode())}.{TOKEN.split('.')[1]}"
        mac = hmac.digest(text, unsigned.encode(), hashlib.sha256)
        assert_refused(f"{unsigned}.{base64url(mac)}")


KIDS: tuple[object, ...] = (
    "../../etc/passwd",
    "' OR 1=1--",
    "\0",
    "\ud800",
    "x" * 100_000,
    "",
    5,
    5.5,
    True,
    None,
    [],
    ["x"],
    {},
    {"a": 1},
)


@pytest.mark.conformance("JW-07")
@pytest.mark.conformance("JW-08")
@pytest.mark.parametrize("kid", KIDS, ids=range(len(KIDS)))
def test_a_key_id_is_a_name_in_the_ring_and_nothing_else(kid: object) -> None:
    assert_refused(with_header(kid=kid))
    assert_refused(with_header(kid=[KEYS["ES256"]["kid"]]))


HEAD, BODY, SIGNATURE = TOKEN.split(".")


def test_bits_that_base64_would_drop_are_not_free() -> None:
    """64 bytes are 85 characters and two bits of the 86th: its other four bits must be zero."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(SIGNATURE) == 86
    spare = alphabet[alphabet.index(TOKEN[-1]) + 1]
    assert base64.urlsafe_b64decode(SIGNATURE[:-1] + spare + "==") == base64.urlsafe_b64decode(SIGNATURE + "==")
    assert_refused(TOKEN[:-1] + spare)


def test_a_key_that_left_the_ring_signs_nothing_any_more() -> None:
    assert_refused(TOKEN, ring=RINGS["EdDSA"])
    stranger = SigningRing.parse(json.dumps(new_signing_jwk("ES256")))
    assert_refused(sign(stranger, CLAIMS))
