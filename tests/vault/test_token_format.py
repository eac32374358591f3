"""The text of access tokens: three segments of base64url, one JSON object each, and why another one is refused."""

import base64
import gc
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vault.access_tokens import (
    CLAIMS,
    HEADER,
    NOW,
    PAYLOAD,
    RING,
    TOKEN,
    assert_refused,
    read_token,
    sign_parts,
    with_claims,
    with_header,
    with_member_twice,
    without,
)
from vault.errors import TokenInvalidError
from vault.signing import sign
from vault.signing_keys import base64url, new_signing_jwk

pytestmark = pytest.mark.once


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert_refused(text)


@given(st.lists(st.binary(max_size=60), min_size=3, max_size=3))
def test_no_bytes_in_three_segments_break_the_reader(segments: list[bytes]) -> None:
    assert_refused(".".join(map(base64url, segments)))


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
    assert_refused(with_header(**{name: STRANGERS[name]}))


@pytest.mark.conformance("JW-10")
def test_an_empty_crit_is_refused_and_a_member_is_never_missing() -> None:
    assert_refused(with_header(crit=[]))
    for name in HEADER:
        assert_refused(sign_parts(without(HEADER, name), PAYLOAD))


HEAD, BODY, SIGNATURE = TOKEN.split(".")
LENIENT: Mapping[str, Callable[[], str]] = {
    "a padded signature": lambda: TOKEN + "=" * (-len(SIGNATURE) % 4),
    "a member of the header twice": lambda: sign_parts(with_member_twice(HEADER, "typ"), PAYLOAD),
    "a claim twice": lambda: sign_parts(HEADER, with_member_twice(PAYLOAD, "sub")),
    "NaN in an unused claim": lambda: sign_parts(HEADER, json.dumps({**PAYLOAD, "x": float("nan")}).encode()),
    "a time written as text": lambda: with_claims(exp=str(NOW + 600)),
    "a time with a fraction": lambda: with_claims(exp=NOW + 600.5),
    "a list of audiences": lambda: with_claims(aud=["https://other.test", CLAIMS.audience]),
    "another type of token": lambda: with_header(typ="JWT"),
    "no expiry": lambda: sign_parts(HEADER, without(PAYLOAD, "exp")),
    "no subject": lambda: sign_parts(HEADER, without(PAYLOAD, "sub")),
    "an unknown member of the header": lambda: with_header(jku="https://evil.example/jwks.json"),
}


class Frozen:
    """The moment at which the tokens of this file are good."""

    @staticmethod
    def now(tz: object = None) -> "Frozen":
        return Frozen()

    def timestamp(self) -> float:
        return float(NOW)


@pytest.mark.parametrize("token", LENIENT.values(), ids=LENIENT)
def test_what_the_library_alone_would_take_is_refused(
    token: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps the docstring of `vault.signing` true: whatever PyJWT comes to refuse by itself may leave this list."""
    monkeypatch.setattr("jwt.api_jwt.datetime", Frozen)
    text = token()
    key = RING.primary.public
    assert jwt.decode(text, key, algorithms=["ES256"], audience=CLAIMS.audience, issuer=CLAIMS.issuer)
    assert_refused(text)


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
    assert_refused(text)


def test_a_token_has_at_most_so_many_characters_even_if_the_ring_signed_it() -> None:
    max_length = ""
    for length in range(5600, 6100):
        token = with_claims(padding="x" * length)
        if len(token) <= 8192:
            max_length = token
            continue
        assert_refused(token)
        break
    assert len(max_length) > 8188
    assert read_token(max_length) == CLAIMS


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_is_no_json_is_named_in_the_log(constant: bytes) -> None:
    raw = json.dumps(dict(PAYLOAD)).encode()[:-1] + b', "x": ' + constant + b"}"
    with pytest.raises(TokenInvalidError, match=f"^{constant.decode()} is not JSON$"):
        read_token(sign_parts(HEADER, raw))


@pytest.mark.parametrize("raw", [b"[]", b"5", b"null", b'"x"', b"", b"\xff", b"[" * 5000, b'{"alg": "ES256"} x'])
def test_header_and_payload_are_one_json_object_each(raw: bytes) -> None:
    gc.collect()  # what other tests have left can't be finalized where one of these texts ends the stack
    assert_refused(sign_parts(raw, PAYLOAD))
    assert_refused(sign_parts(HEADER, raw))


WHYS: Mapping[str, Callable[[], str]] = {
    "not a compact JWS": lambda: "x",
    "not one of our headers": lambda: with_header(alg="none"),
    "another type of token": lambda: with_header(typ="JWT"),
    "not signed by a key of the ring": lambda: f"{HEAD}.{BODY}.{base64url(bytes(64))}",
    "not a JSON object": lambda: sign_parts(HEADER, []),
    "a member twice": lambda: sign_parts(HEADER, with_member_twice(PAYLOAD, "sub")),
    "issued by another issuer": lambda: with_claims(iss="https://portal.test/"),
    "issued in the future": lambda: with_claims(nbf=NOW + 1),
}


@pytest.mark.parametrize("why", WHYS)
def test_the_log_learns_why_a_token_is_refused(why: str) -> None:
    with pytest.raises(TokenInvalidError, match=f"^{why}$"):
        read_token(WHYS[why]())


def test_a_token_is_written_without_spaces() -> None:
    for segment in sign(RING, replace(CLAIMS, scope="a")).split(".")[:2]:
        assert b" " not in base64.urlsafe_b64decode(segment + "==")
