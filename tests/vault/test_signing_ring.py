"""The signing ring as it is written, and as it must not be."""

import base64
import gc
import json
import re
import traceback
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from tests.signing_keys import KEYS, OTHERS, Jwk
from vault.errors import RingError, UnknownKeyError
from vault.signing_keys import SigningRing

pytestmark = pytest.mark.once
PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k", "oth")


def ring(*keys: Any) -> SigningRing:
    return SigningRing.parse(json.dumps({"keys": list(keys)}))


def rsa_key(bits: int) -> Jwk:
    return {**RSAAlgorithm.to_jwk(generate_private_key(65537, bits), as_dict=True), "alg": "RS256"}


def without(jwk: Jwk, *members: str) -> Jwk:
    return {name: value for name, value in jwk.items() if name not in members}


def test_the_first_key_signs_and_all_of_them_verify() -> None:
    both = ring(KEYS["ES256"], KEYS["EdDSA"])
    assert both.primary.id == KEYS["ES256"]["kid"]
    assert [key.id for key in both] == [KEYS["ES256"]["kid"], KEYS["EdDSA"]["kid"]]
    assert both[KEYS["EdDSA"]["kid"]].algorithm == "EdDSA"
    with pytest.raises(UnknownKeyError, match=r"^the signing ring has no key with the id 'other'$"):
        both["other"]


def test_one_key_may_stand_without_a_set_and_without_a_kid() -> None:
    alone = SigningRing.parse(json.dumps(without(KEYS["ES256"], "kid", "use")))
    assert alone.primary.id == KEYS["ES256"]["kid"]


MISWRITTEN: Mapping[str, object] = {
    "no key": [],
    "a text": ["x"],
    "a list": [[]],
    "null": [None],
    "no algorithm": [without(KEYS["ES256"], "alg")],
    "unknown algorithm": [{**KEYS["ES256"], "alg": "ES384"}],
    "none": [{**KEYS["HS256"], "alg": "none"}],
    "algorithm of another kind": [{**KEYS["ES256"], "alg": "EdDSA"}],
    "a secret for RSA": [{**KEYS["HS256"], "alg": "RS256"}],
    "another curve": [{**KEYS["ES256"], "crv": "P-384"}],
    "public half of EC": [without(KEYS["ES256"], "d")],
    "public half of OKP": [without(KEYS["EdDSA"], "d")],
    "public half of RSA": [without(KEYS["RS256"], *PRIVATE)],
    "RSA without its primes": [without(KEYS["RS256"], "p", "q", "dp", "dq", "qi")],
    "RSA without one part": [without(KEYS["RS256"], "qi")],
    "EC without y": [without(KEYS["ES256"], "y")],
    "a number as key": [{**KEYS["ES256"], "d": 5}],
    "not base64": [{**KEYS["ES256"], "d": "€"}],
    "an empty secret": [{**KEYS["HS256"], "k": ""}],
    "halves of two EC keys": [without({**KEYS["ES256"], "d": OTHERS["ES256"]["d"]}, "kid")],
    "halves of two OKP keys": [without({**KEYS["EdDSA"], "d": OTHERS["EdDSA"]["d"]}, "kid")],
    "halves of two RSA keys": [without({**KEYS["RS256"], "d": OTHERS["RS256"]["d"]}, "kid")],
    "a modulus of another RSA key": [without({**KEYS["RS256"], "n": OTHERS["RS256"]["n"]}, "kid")],
    "an id that is no thumbprint": [{**KEYS["ES256"], "kid": "chosen-by-hand"}],
    "a secret without an id": [without(KEYS["HS256"], "kid")],
    "an id that is no text": [{**KEYS["HS256"], "kid": 5}],
    "an id with other characters": [{**KEYS["HS256"], "kid": "../../etc/passwd"}],
    "an algorithm that is a list": [{**KEYS["ES256"], "alg": []}],
    "an algorithm that is an object": [{**KEYS["HS256"], "alg": {"HS256": 1}}],
    "padding": [{**KEYS["HS256"], "k": KEYS["HS256"]["k"] + "="}],
    "a secret with a space": [{**KEYS["HS256"], "k": KEYS["HS256"]["k"] + " "}],
    "a secret with a line end": [{**KEYS["HS256"], "k": KEYS["HS256"]["k"] + "\n"}],
    "a private half with a character that is read over": [{**KEYS["ES256"], "d": KEYS["ES256"]["d"] + "!"}],
    "a public half with a character that is read over": [{**KEYS["EdDSA"], "x": "!" + KEYS["EdDSA"]["x"]}],
    "one key twice": [KEYS["ES256"], KEYS["ES256"]],
    "one secret under two ids": [KEYS["HS256"], {**KEYS["HS256"], "kid": "another-id"}],
}


@pytest.mark.parametrize("keys", MISWRITTEN.values(), ids=MISWRITTEN)
def test_a_ring_that_is_written_wrongly_is_refused_and_not_shown(keys: object) -> None:
    with pytest.raises(RingError) as caught:
        SigningRing.parse(json.dumps({"keys": keys}))
    shown = "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None
    for jwk in (*KEYS.values(), *OTHERS.values()):
        for member in PRIVATE:
            assert jwk.get(member, "\0") not in shown


@pytest.mark.parametrize("text", ["", " ", "{", "[]", "5", '"x"', '{"keys": {}}', "{}", "[" * 100_000, "NaN"])
def test_what_is_no_set_is_refused(text: str) -> None:
    gc.collect()  # what other tests have left can't be finalized where one of these texts ends the stack
    with pytest.raises(RingError):
        SigningRing.parse(text)


DECLARED = "ES256, EdDSA, RS256, HS256"
WHYS: Mapping[str, tuple[object, ...]] = {
    "the signing ring is empty": (),
    f"key 1 of the signing ring is not a JWK with an alg of {DECLARED}": (None,),
    f"key 2 of the signing ring is not a JWK with an alg of {DECLARED}": (KEYS["ES256"], without(KEYS["EdDSA"], "alg")),
    "key 1 of the signing ring is not of the kind that its alg RS256 needs": ({**KEYS["HS256"], "alg": "RS256"},),
    "key 1 of the signing ring is not a private key, or lacks part of one": (without(KEYS["ES256"], "y"),),
    "key 1 of the signing ring has a part that is not base64url (RFC 7515 §2)": (
        {**KEYS["HS256"], "k": KEYS["HS256"]["k"] + "="},
    ),
    "key 1 of the signing ring can't be read as an EdDSA key": ({**KEYS["EdDSA"], "d": OTHERS["EdDSA"]["d"]},),
    "key 1 of the signing ring needs a kid of 8 to 64 characters of A-Z, a-z, 0-9, - and _": (
        without(KEYS["HS256"], "kid"),
    ),
    f"the kid of key 1 of the signing ring is not its RFC 7638 thumbprint, {KEYS['ES256']['kid']}": (
        {**KEYS["ES256"], "kid": "chosen-by-hand"},
    ),
    f"the signing ring has the key {KEYS['ES256']['kid']!r} twice": (KEYS["ES256"], KEYS["ES256"]),
    f"keys {KEYS['HS256']['kid']!r} and 'another-id' of the signing ring are the same": (
        KEYS["HS256"],
        {**KEYS["HS256"], "kid": "another-id"},
    ),
}


@pytest.mark.parametrize("why", WHYS, ids=range(len(WHYS)))
def test_the_error_of_a_ring_says_what_is_wrong(why: str) -> None:
    with pytest.raises(RingError, match=f"^{re.escape(why)}$"):
        ring(*WHYS[why])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (" ", "is empty"),
        ("{", "is not JSON"),
        ("[]", 'is not a JWK Set, {"keys": […]}'),
        ("{}", 'is not a JWK Set, {"keys": […]}'),
    ],
)
def test_the_error_of_a_text_that_is_no_ring_says_why(text: str, why: str) -> None:
    with pytest.raises(RingError, match=f"^the signing ring {re.escape(why)}$"):
        SigningRing.parse(text)


@given(st.text())
def test_any_text_is_a_ring_or_a_ring_error(text: str) -> None:
    with pytest.raises(RingError):
        SigningRing.parse(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
)


@pytest.mark.finding("H11")
@given(st.sampled_from(("ES256", "EdDSA", "HS256")), st.data())
def test_whatever_a_member_of_a_key_holds_the_answer_is_a_ring_or_a_ring_error(algorithm: str, data: Any) -> None:
    jwk = KEYS[algorithm]
    member = data.draw(st.sampled_from(sorted({*jwk, "x", "oth", "key_ops"})))
    try:
        changed = ring({**jwk, member: data.draw(json_values)})
    except RingError:
        return
    assert changed.primary.algorithm == algorithm


@pytest.mark.conformance("JW-24")
def test_weak_keys_are_refused() -> None:
    short = {**KEYS["HS256"], "k": base64.urlsafe_b64encode(bytes(31)).rstrip(b"=").decode()}
    with pytest.raises(RingError, match="31 bytes; it needs 32"):
        ring(short)
    with pytest.raises(RingError, match="2048 bits; it needs 3072"):
        ring(rsa_key(2048))
    assert ring(KEYS["ES256"], rsa_key(2048))  # it may go on verifying what it signed
    with pytest.raises(RingError, match="1024 bits; it needs 2048"):
        ring(KEYS["ES256"], rsa_key(1024))
