"""Claims of access tokens: each is there, of its type, for this portal and this moment."""

import json

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
    without,
)
from vault.errors import TokenForAnotherError, TokenInvalidError
from vault.secret_format import new_id
from vault.signing import TokenExpiredError, read

pytestmark = pytest.mark.once
USER = new_id("usr")


@pytest.mark.conformance("JW-01")
@pytest.mark.conformance("JW-02")
@pytest.mark.conformance("JW-03")
@pytest.mark.conformance("JW-29")
def test_a_token_says_what_the_profile_asks_for() -> None:
    assert jwt.get_unverified_header(TOKEN) == HEADER
    assert PAYLOAD.keys() == {
        *("iss", "exp", "aud", "sub", "client_id", "iat", "jti"),
        *("nbf", "scope", "environment", "auth_epoch", "sid", "secret_id"),
    }
    assert {type(PAYLOAD[name]) for name in ("exp", "iat", "nbf", "auth_epoch")} == {int}


@pytest.mark.conformance("JW-03")
def test_no_two_tokens_have_the_same_id() -> None:
    ids = {new_id("tok") for _ in range(10_000)}
    assert len(ids) == 10_000
    assert {len(name) for name in ids} == {len("tok_") + 22}  # 22 base62 characters: 131 bits


@pytest.mark.sweep
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_no_signed_claim_of_another_kind_breaks_the_reader(value: object) -> None:
    for name in PAYLOAD:
        assert_refused(with_claims(**{name: value}))


@pytest.mark.conformance("JW-11")
@pytest.mark.parametrize("leeway", [0, 30])
def test_a_token_ends_when_it_says(leeway: int) -> None:
    last = CLAIMS.expires_at + leeway
    assert read_token(TOKEN, now=last - 0.001, leeway=leeway)
    for now in (last, last + 1, last + 10**9):
        with pytest.raises(TokenExpiredError) as caught:
            read_token(TOKEN, now=now, leeway=leeway)
        assert (caught.value.claims, str(caught.value)) == (CLAIMS, "expired")


@pytest.mark.conformance("JW-12")
@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_of_the_future_is_refused(claim: str) -> None:
    assert read_token(with_claims(**{claim: NOW + 30}), leeway=30)
    assert_refused(with_claims(**{claim: NOW + 31}), leeway=30)
    assert_refused(with_claims(**{claim: NOW + 3600}), leeway=30)


@pytest.mark.conformance("JW-13")
@pytest.mark.parametrize("claim", sorted(PAYLOAD.keys() - {"sid", "secret_id"}))
def test_no_claim_may_be_missing(claim: str) -> None:
    assert_refused(sign_parts(HEADER, without(PAYLOAD, claim)))


TIMES: tuple[object, ...] = ("1800000600", 1800000600.0, 1.8e9, True, None, [], [NOW], {}, -1, 2**53 + 1, 10**400)
TEXTS: tuple[object, ...] = (5, 5.5, True, None, [], {}, [f"user:{USER}"])


@pytest.mark.conformance("JW-13")
@pytest.mark.parametrize("claim", sorted(PAYLOAD))
def test_no_claim_may_be_of_another_type(claim: str) -> None:
    for value in TIMES if isinstance(PAYLOAD[claim], int) else TEXTS:
        assert_refused(with_claims(**{claim: value}))


@pytest.mark.conformance("JW-13")
@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"1" + b"0" * 5000, b"01", b"0x10"])
def test_a_time_is_a_json_number(number: bytes) -> None:
    raw = json.dumps(without(PAYLOAD, "exp")).encode()
    assert_refused(sign_parts(HEADER, raw[:-1] + b', "exp": ' + number + b"}"))


ISSUERS = ("https://portal.tes", "https://portal.test/", "https://Portal.test", "xhttps://portal.test", "", None)


@pytest.mark.conformance("JW-15")
@pytest.mark.parametrize("issuer", [*ISSUERS, [CLAIMS.issuer]])
def test_the_issuer_is_compared_letter_by_letter(issuer: object) -> None:
    assert_refused(with_claims(iss=issuer))


@pytest.mark.conformance("JW-16")
@pytest.mark.parametrize("audience", ["", "https://other.test", None, [], ["https://other.test"], [CLAIMS.audience]])
def test_the_audience_is_us_and_one_text(audience: object) -> None:
    assert_refused(with_claims(aud=audience))


def test_the_error_about_another_audience_says_so() -> None:
    with pytest.raises(TokenForAnotherError, match=r"^issued for another audience$"):
        read_token(with_claims(aud="https://other.test"))


@pytest.mark.conformance("JW-16")
def test_a_reader_without_an_audience_takes_any_one_and_no_list() -> None:
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
        assert read_token(with_header(typ=typ)) == CLAIMS
    others: tuple[object, ...] = ("JWT", "jwt", "rt+jwt", "dpop+jwt", "", "at+jwt ", "text/at+jwt", None, 5, ["at+jwt"])
    for other in others:
        assert_refused(with_header(typ=other))


def test_an_expired_token_of_somebody_else_is_not_called_expired() -> None:
    assert_refused(with_claims(exp=NOW - 100, aud="https://other.test"))
