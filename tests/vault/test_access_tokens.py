"""Access tokens: what the ring signed is read, and nothing that merely resembles it."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.signing_keys import KEYS
from vault.errors import TokenInvalidError
from vault.secret_format import new_id
from vault.signing import Claims, TokenExpiredError, read, sign
from vault.signing_keys import KEY_TYPES, SigningRing, base64url, new_signing_jwk

pytestmark = pytest.mark.once

NOW = 1_800_000_000
RING = SigningRing.parse(json.dumps({"keys": list(KEYS.values())}))
RINGS = {algorithm: SigningRing.parse(json.dumps(key)) for algorithm, key in KEYS.items()}
USER = new_id("usr")
CLAIMS = Claims(
    issuer="https://portal.test",
    subject=f"user:{USER}",
    audience="https://api.test",
    client_id="portal",
    token_id=new_id("tok"),
    scope="a b",
    issued_at=NOW,
    expires_at=NOW + 600,
    environment="live",
    epoch=3,
    family=new_id("fam"),
)
TOKEN = sign(RING, CLAIMS)
HEADER: Mapping[str, Any] = {"alg": "ES256", "kid": KEYS["ES256"]["kid"], "typ": "at+jwt"}
PAYLOAD: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(TOKEN.split(".")[1] + "=="))


def taken(token: str, *, now: float = NOW, leeway: int = 0, ring: SigningRing = RING) -> Claims:
    return read(ring, token, issuer=CLAIMS.issuer, audience=CLAIMS.audience, now=now, leeway=leeway)


def refused(token: str, **circumstances: Any) -> None:
    with pytest.raises(TokenInvalidError):
        taken(token, **circumstances)


def signed(header: object, payload: object, *, algorithm: str = "ES256") -> str:
    """Sign anything at all, by a key of the ring; texts stand for themselves, the rest becomes JSON."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    signing_input = ".".join(map(base64url, parts))
    key = RINGS[algorithm].primary.private
    return f"{signing_input}.{base64url(key.Algorithm.sign(signing_input.encode(), key.key))}"


def with_header(**members: Any) -> str:
    return signed({**HEADER, **members}, PAYLOAD)


def with_claims(**claims: Any) -> str:
    return signed(HEADER, {**PAYLOAD, **claims})


def without(source: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in source.items() if key != name}


@pytest.mark.conformance("JW-28")
@pytest.mark.parametrize("algorithm", KEY_TYPES)
def test_what_was_signed_is_read_whichever_key_signed_it(algorithm: str) -> None:
    assert taken(sign(RINGS[algorithm], CLAIMS)) == CLAIMS
    assert taken(signed({**HEADER, "alg": algorithm, "kid": KEYS[algorithm]["kid"]}, PAYLOAD, algorithm=algorithm))


@pytest.mark.conformance("JW-01")
@pytest.mark.conformance("JW-02")
@pytest.mark.conformance("JW-03")
@pytest.mark.conformance("JW-29")
def test_a_token_says_what_the_profile_asks_for() -> None:
    assert jwt.get_unverified_header(TOKEN) == HEADER
    assert PAYLOAD.keys() == {
        *("iss", "exp", "aud", "sub", "client_id", "iat", "jti"),
        *("nbf", "scope", "environment", "auth_epoch", "sid"),
    }
    assert {type(PAYLOAD[name]) for name in ("exp", "iat", "nbf", "auth_epoch")} == {int}


@pytest.mark.conformance("JW-21")
@pytest.mark.parametrize("algorithm", KEY_TYPES)
def test_no_bit_can_be_flipped(algorithm: str) -> None:
    genuine = sign(RINGS[algorithm], CLAIMS).encode()
    for bit in range(8 * len(genuine)):
        raw = bytearray(genuine)
        raw[bit // 8] ^= 1 << bit % 8
        refused(raw.decode("latin-1"))


@pytest.mark.conformance("JW-03")
def test_no_two_tokens_have_the_same_id() -> None:
    ids = {new_id("tok") for _ in range(10_000)}
    assert len(ids) == 10_000
    assert {len(name) for name in ids} == {len("tok_") + 22}  # 22 base62 characters: 131 bits


@pytest.mark.conformance("JW-21")
@pytest.mark.parametrize("algorithm", KEY_TYPES)
def test_a_signature_can_not_be_cut_emptied_or_blanked(algorithm: str) -> None:
    token = sign(RINGS[algorithm], CLAIMS)
    unsigned, _, signature = token.rpartition(".")
    blank = base64url(bytes(len(base64.urlsafe_b64decode(signature + "=="))))
    for bad in ("", signature[:-1], signature[:-4], signature + "AAAA", blank, signature[::-1]):
        refused(f"{unsigned}.{bad}")
    refused(unsigned)


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_no_text_breaks_the_reader(text: str) -> None:
    refused(text)


@given(st.lists(st.binary(max_size=60), min_size=3, max_size=3))
def test_no_bytes_in_three_segments_break_the_reader(segments: list[bytes]) -> None:
    refused(".".join(map(base64url, segments)))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_no_signed_claim_of_another_kind_breaks_the_reader(value: object) -> None:
    for name in PAYLOAD:
        refused(with_claims(**{name: value}))


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
    refused(with_header(alg=algorithm))
    unsigned = with_header(alg=algorithm).rpartition(".")[0]
    refused(f"{unsigned}.")
    refused(f"{unsigned}.{TOKEN.rpartition('.')[2]}")


@pytest.mark.conformance("JW-06")
@pytest.mark.parametrize("theirs", KEY_TYPES)
@pytest.mark.parametrize("ours", KEY_TYPES)
def test_one_key_has_one_algorithm(ours: str, theirs: str) -> None:
    if ours == theirs:
        return
    refused(signed({**HEADER, "alg": theirs, "kid": KEYS[ours]["kid"]}, PAYLOAD, algorithm=theirs))
    refused(signed({**HEADER, "alg": ours, "kid": KEYS[theirs]["kid"]}, PAYLOAD, algorithm=ours))
    refused(signed({**HEADER, "alg": theirs, "kid": KEYS[theirs]["kid"]}, PAYLOAD, algorithm=ours))


@pytest.mark.conformance("JW-06")
@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "PS512"])
def test_an_rsa_key_does_not_serve_its_other_algorithms(algorithm: str) -> None:
    key = RINGS["RS256"].primary.private.key
    refused(jwt.encode(dict(PAYLOAD), key, algorithm, headers={"kid": KEYS["RS256"]["kid"], "typ": "at+jwt"}))


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
        refused(f"{unsigned}.{base64url(mac)}")


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
    refused(with_header(kid=kid))
    refused(with_header(kid=[KEYS["ES256"]["kid"]]))


STRANGERS: Mapping[str, object] = {
    "jku": "https://evil.example/jwks.json",
    "x5u": "https://evil.example/cert.pem",
    "jwk": new_signing_jwk("ES256"),
    "x5c": ["MIIB"],
    "crit": ["x"],
    "b64": False,
    "zip": "DEF",
    "cty": "JWT",
    "exp": NOW,
}


@pytest.mark.conformance("JW-09")
@pytest.mark.conformance("JW-10")
@pytest.mark.parametrize("name", STRANGERS)
def test_a_header_has_three_members_and_no_more(name: str) -> None:
    refused(with_header(**{name: STRANGERS[name]}))


@pytest.mark.conformance("JW-10")
def test_an_empty_crit_is_refused_and_a_member_is_never_missing() -> None:
    refused(with_header(crit=[]))
    for name in HEADER:
        refused(signed(without(HEADER, name), PAYLOAD))


@pytest.mark.conformance("JW-11")
@pytest.mark.parametrize("leeway", [0, 30])
def test_a_token_ends_when_it_says(leeway: int) -> None:
    last = CLAIMS.expires_at + leeway
    assert taken(TOKEN, now=last - 0.001, leeway=leeway)
    for now in (last, last + 1, last + 10**9):
        with pytest.raises(TokenExpiredError) as caught:
            taken(TOKEN, now=now, leeway=leeway)
        assert (caught.value.claims, str(caught.value)) == (CLAIMS, "expired")


@pytest.mark.conformance("JW-12")
@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_of_the_future_is_refused(claim: str) -> None:
    assert taken(with_claims(**{claim: NOW + 30}), leeway=30)
    refused(with_claims(**{claim: NOW + 31}), leeway=30)
    refused(with_claims(**{claim: NOW + 3600}), leeway=30)


@pytest.mark.conformance("JW-13")
@pytest.mark.parametrize("claim", sorted(PAYLOAD.keys() - {"sid"}))
def test_no_claim_may_be_missing(claim: str) -> None:
    refused(signed(HEADER, without(PAYLOAD, claim)))


TIMES: tuple[object, ...] = ("1800000600", 1800000600.0, 1.8e9, True, None, [], [NOW], {}, -1, 2**53 + 1, 10**400)
TEXTS: tuple[object, ...] = (5, 5.5, True, None, [], {}, [f"user:{USER}"])


@pytest.mark.conformance("JW-13")
@pytest.mark.parametrize("claim", sorted(PAYLOAD))
def test_no_claim_may_be_of_another_type(claim: str) -> None:
    for value in TIMES if isinstance(PAYLOAD[claim], int) else TEXTS:
        refused(with_claims(**{claim: value}))


@pytest.mark.conformance("JW-13")
@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"1" + b"0" * 5000, b"01", b"0x10"])
def test_a_time_is_a_json_number(number: bytes) -> None:
    raw = json.dumps(without(PAYLOAD, "exp")).encode()
    refused(signed(HEADER, raw[:-1] + b', "exp": ' + number + b"}"))


ISSUERS = ("https://portal.tes", "https://portal.test/", "https://Portal.test", "xhttps://portal.test", "", None)


@pytest.mark.conformance("JW-15")
@pytest.mark.parametrize("issuer", [*ISSUERS, [CLAIMS.issuer]])
def test_the_issuer_is_compared_letter_by_letter(issuer: object) -> None:
    refused(with_claims(iss=issuer))


@pytest.mark.conformance("JW-16")
@pytest.mark.parametrize("audience", ["", "https://other.test", None, [], ["https://other.test"], [CLAIMS.audience]])
def test_the_audience_is_us_and_one_text(audience: object) -> None:
    refused(with_claims(aud=audience))


@pytest.mark.conformance("JW-16")
def test_whoever_asks_for_no_audience_takes_any_and_no_list() -> None:
    for audience in (CLAIMS.audience, "https://other.test"):
        claims = read(RING, with_claims(aud=audience), issuer=CLAIMS.issuer, audience=None, now=NOW, leeway=0)
        assert claims.audience == audience
    wrong: tuple[object, ...] = ("", None, [], [CLAIMS.audience])
    for odd in wrong:
        with pytest.raises(TokenInvalidError):
            read(RING, with_claims(aud=odd), issuer=CLAIMS.issuer, audience=None, now=NOW, leeway=0)
    with pytest.raises(TokenInvalidError):
        read(RING, with_claims(iss="https://other.test"), issuer=CLAIMS.issuer, audience=None, now=NOW, leeway=0)


@pytest.mark.conformance("JW-17")
def test_only_an_access_token_is_an_access_token() -> None:
    for typ in ("at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"):
        assert taken(with_header(typ=typ)) == CLAIMS
    others: tuple[object, ...] = ("JWT", "jwt", "rt+jwt", "dpop+jwt", "", "at+jwt ", "text/at+jwt", None, 5, ["at+jwt"])
    for other in others:
        refused(with_header(typ=other))


def doubled(source: Mapping[str, Any], name: str) -> bytes:
    return json.dumps(dict(source)).encode()[:-1] + f', "{name}": {json.dumps(source[name])}}}'.encode()


LENIENT: Mapping[str, Callable[[], str]] = {
    "a padded signature": lambda: padded(TOKEN),
    "a member of the header twice": lambda: signed(doubled(HEADER, "typ"), PAYLOAD),
    "a claim twice": lambda: signed(HEADER, doubled(PAYLOAD, "sub")),
    "NaN in an unused claim": lambda: signed(HEADER, json.dumps({**PAYLOAD, "x": float("nan")}).encode()),
    "a time written as text": lambda: with_claims(exp=str(NOW + 600)),
    "a time with a fraction": lambda: with_claims(exp=NOW + 600.5),
    "a list of audiences": lambda: with_claims(aud=["https://other.test", CLAIMS.audience]),
    "another type of token": lambda: with_header(typ="JWT"),
    "no expiry": lambda: signed(HEADER, without(PAYLOAD, "exp")),
    "no subject": lambda: signed(HEADER, without(PAYLOAD, "sub")),
    "an unknown member of the header": lambda: with_header(jku="https://evil.example/jwks.json"),
}


def padded(token: str) -> str:
    return token + "=" * (-len(token.rpartition(".")[2]) % 4)


@pytest.mark.parametrize("token", LENIENT.values(), ids=LENIENT)
def test_what_the_library_alone_would_take_is_refused(
    token: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps the docstring of `vault.signing` true: whatever PyJWT comes to refuse by itself may leave this list."""
    monkeypatch.setattr("jwt.api_jwt.datetime", Frozen)
    text = token()
    key = RING.primary.public
    assert jwt.decode(text, key, algorithms=["ES256"], audience=CLAIMS.audience, issuer=CLAIMS.issuer)
    refused(text)


class Frozen:
    """The moment at which the tokens of this file are good."""

    @staticmethod
    def now(tz: object = None) -> "Frozen":
        return Frozen()

    def timestamp(self) -> float:
        return float(NOW)


HEAD, BODY, SIGNATURE = TOKEN.split(".")
MISSHAPEN = {
    "empty": "",
    "dots": "..",
    "two segments": f"{HEAD}.{BODY}",
    "four segments": f"{TOKEN}.{SIGNATURE}",
    "five segments": f"{HEAD}..{BODY}.{BODY}.{SIGNATURE}",
    "space before": f" {TOKEN}",
    "line feed after": f"{TOKEN}\n",
    "line feed inside": f"{HEAD}.{BODY}\n.{SIGNATURE}",
    "NUL": f"{TOKEN}\0",
    "another alphabet": TOKEN.replace("-", "+").replace("_", "/") + "/",
    "other digits": TOKEN + "１",
    "not ASCII": f"{HEAD}.{BODY}é.{SIGNATURE}",
    "a padded header": f"{HEAD}=.{BODY}.{SIGNATURE}",
    "too long": f"{HEAD}.{BODY}{'A' * 8192}.{SIGNATURE}",
    "far too long": "A" * 2**20 + "..",
}


@pytest.mark.parametrize("text", MISSHAPEN.values(), ids=MISSHAPEN)
def test_a_token_is_three_segments_and_nothing_around_them(text: str) -> None:
    refused(text)


def test_a_token_has_at_most_so_many_characters_even_if_the_ring_signed_it() -> None:
    max_length = ""
    for length in range(5600, 6100):
        token = with_claims(padding="x" * length)
        if len(token) <= 8192:
            max_length = token
            continue
        refused(token)
        break
    assert len(max_length) > 8188
    assert taken(max_length) == CLAIMS


def test_bits_that_base64_would_drop_are_not_free() -> None:
    """64 bytes are 85 characters and two bits of the 86th: its other four bits must be zero."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(SIGNATURE) == 86
    spare = alphabet[alphabet.index(TOKEN[-1]) + 1]
    assert base64.urlsafe_b64decode(SIGNATURE[:-1] + spare + "==") == base64.urlsafe_b64decode(SIGNATURE + "==")
    refused(TOKEN[:-1] + spare)


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_is_no_json_is_named_in_the_log(constant: bytes) -> None:
    raw = json.dumps(dict(PAYLOAD)).encode()[:-1] + b', "x": ' + constant + b"}"
    with pytest.raises(TokenInvalidError, match=f"^{constant.decode()} is not JSON$"):
        taken(signed(HEADER, raw))


@pytest.mark.parametrize("raw", [b"[]", b"5", b"null", b'"x"', b"", b"\xff", b"[" * 5000, b'{"alg": "ES256"} x'])
def test_header_and_payload_are_one_json_object_each(raw: bytes) -> None:
    refused(signed(raw, PAYLOAD))
    refused(signed(HEADER, raw))


WHYS: Mapping[str, Callable[[], str]] = {
    "not a compact JWS": lambda: "x",
    "not one of our headers": lambda: with_header(alg="none"),
    "another type of token": lambda: with_header(typ="JWT"),
    "not signed by a key of the ring": lambda: f"{HEAD}.{BODY}.{base64url(bytes(64))}",
    "not a JSON object": lambda: signed(HEADER, []),
    "a member twice": lambda: signed(HEADER, doubled(PAYLOAD, "sub")),
    "issued by another issuer": lambda: with_claims(iss="https://portal.test/"),
    "issued in the future": lambda: with_claims(nbf=NOW + 1),
}


@pytest.mark.parametrize("why", WHYS)
def test_the_log_learns_why_a_token_is_refused(why: str) -> None:
    with pytest.raises(TokenInvalidError, match=f"^{why}$"):
        taken(WHYS[why]())


def test_a_token_is_written_without_spaces() -> None:
    for segment in sign(RING, replace(CLAIMS, scope="a")).split(".")[:2]:
        assert b" " not in base64.urlsafe_b64decode(segment + "==")


def test_a_key_that_left_the_ring_signs_nothing_any_more() -> None:
    refused(TOKEN, ring=RINGS["EdDSA"])
    stranger = SigningRing.parse(json.dumps(new_signing_jwk("ES256")))
    refused(sign(stranger, CLAIMS))


def test_an_expired_token_of_somebody_else_is_not_called_expired() -> None:
    refused(with_claims(exp=NOW - 100, aud="https://other.test"))
