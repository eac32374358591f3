"""The bounds of the claims, at their edges: what the portal issues passes, and one step further nothing does."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.claims import ACCESS_TOKEN, Claims, check_claims
from vault.errors import TokenInvalidError
from vault.secret_format import ENVIRONMENTS, new_id

pytestmark = [pytest.mark.once, pytest.mark.finding("H11")]

# Written out: what a constant says is not what a database or a date holds.
LAST_SECOND = 253_402_300_799
LAST_EPOCH = 2_147_483_647
MAX_LIFETIME = 86_400
MAX_TEXT = 200
NOW = 1_800_000_000
USER, KEY, TOKEN, FAMILY, SECRET = map(new_id, ("usr", "key", "tok", "fam", "sec"))
PAYLOAD: dict[str, Any] = {
    "iss": "https://portal.test",
    "sub": f"user:{USER}",
    "aud": "https://api.test",
    "client_id": "portal",
    "jti": TOKEN,
    "scope": "a b",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 600,
    "environment": "live",
    "auth_epoch": 3,
    "sid": FAMILY,
    "secret_id": SECRET,
}
GOOD: dict[str, list[object]] = {
    "iss": ["x", "https://schlüssel.example", "x" * MAX_TEXT],
    "aud": ["x", "urn:example:reports", "x" * MAX_TEXT],
    "sub": [f"user:{USER}", f"key:{KEY}"],
    "client_id": ["portal", KEY],
    "jti": [TOKEN],
    "sid": [FAMILY],
    "secret_id": [SECRET],
    "scope": ["", "a", "a b", "reports:read reports:write", "!#[]~", "x" * 64, " ".join(["x" * 64] * 100)],
    "environment": list(ENVIRONMENTS),
    "auth_epoch": [0, LAST_EPOCH],
    "nbf": [0, NOW - 1, LAST_SECOND],
    "exp": [NOW + 1, NOW + MAX_LIFETIME],
    "iat": [NOW + 599, NOW + 600 - MAX_LIFETIME],
}
BAD: dict[str, list[object]] = {
    "iss": ["", "x" * (MAX_TEXT + 1), "a\nb", "a\0", "\ud800", "a\u202eb", b"x"],
    "aud": ["", "x" * (MAX_TEXT + 1), "a\nb", "a\0", "\ud800", ["x"]],
    "sub": [USER, KEY, f"user:{KEY}", f"key:{USER}", f"user:{USER}0", f"user:{USER}"[:-1], f"user:{USER}\n", "user:"],
    "client_id": ["", "Portal", "portal\n", "portalx", USER, f"{KEY}0", KEY[:-1]],
    "jti": ["", TOKEN[:-1], f"{TOKEN}0", f"{TOKEN}\n", FAMILY, TOKEN.replace("tok_", "tok-")],
    "sid": ["", FAMILY[:-1], f"{FAMILY}0", f"{FAMILY}\n", TOKEN, None],
    "secret_id": ["", SECRET[:-1], f"{SECRET}0", f"{SECRET}\n", KEY, None],
    "scope": [" ", "a ", " a", "a  b", "a\tb", 'a"', "a\\", "a\x7f", "é", "a\n", "x" * 65, f"a {'x' * 65}"],
    "environment": ["", "prod", "LIVE", "live\n", "live|test"],
    "auth_epoch": [-1, LAST_EPOCH + 1, True, 1.0, "1"],
    "nbf": [-1, LAST_SECOND + 1, True, 1.0, "1"],
    "exp": [NOW, NOW - 1, NOW + MAX_LIFETIME + 1, LAST_SECOND, LAST_SECOND + 1, -1, True],
    "iat": [NOW + 600, NOW + 601, NOW + 599 - MAX_LIFETIME, 0, -1, LAST_SECOND + 1, True],
}


def check(**changes: object) -> None:
    check_claims({**PAYLOAD, **changes}, needed=ACCESS_TOKEN)


def test_every_claim_has_its_cases() -> None:
    assert GOOD.keys() == BAD.keys() == PAYLOAD.keys() == {*ACCESS_TOKEN, "sid", "secret_id"}


@pytest.mark.parametrize("claim", PAYLOAD)
def test_what_the_portal_issues_is_within_the_bounds(claim: str) -> None:
    for value in GOOD[claim]:
        check(**{claim: value})


@pytest.mark.parametrize("claim", PAYLOAD)
def test_one_step_further_is_out_of_bounds_and_the_error_names_the_claim_alone(claim: str) -> None:
    for value in BAD[claim]:
        with pytest.raises(TokenInvalidError) as caught:
            check(**{claim: value})
        # An expiry that does not fit the beginning is told as the expiry's fault.
        named = {claim, "exp"} if claim == "iat" else {claim}
        assert str(caught.value) in {f"{name} is out of bounds" for name in named}


@pytest.mark.parametrize("claim", sorted(ACCESS_TOKEN))
def test_a_claim_that_is_needed_is_not_missing(claim: str) -> None:
    with pytest.raises(TokenInvalidError, match=f"^{claim} is missing$"):
        check_claims({name: value for name, value in PAYLOAD.items() if name != claim}, needed=ACCESS_TOKEN)


def test_another_type_of_token_needs_other_claims_within_the_same_bounds() -> None:
    other: dict[str, object] = {"iat": NOW, "exp": NOW + 60, "aud": "https://service.test", "sub": f"key:{KEY}"}
    check_claims(other, needed=("aud", "sub"))
    check_claims({**other, "of its own": object()}, needed=("aud", "sub"))
    for name in other:
        with pytest.raises(TokenInvalidError, match=f"^{name} is missing$"):
            check_claims({claim: value for claim, value in other.items() if claim != name}, needed=("aud", "sub"))
    with pytest.raises(TokenInvalidError):
        check_claims({**other, "sub": "key:x"}, needed=("aud",))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@pytest.mark.sweep
@given(st.sampled_from(sorted(PAYLOAD)), json_values)
def test_whatever_a_claim_holds_the_answer_is_claims_or_one_error(claim: str, value: object) -> None:
    payload = {**PAYLOAD, claim: value}
    try:
        claims = Claims.of_payload(payload)
    except TokenInvalidError:
        return
    assert claims.as_payload().keys() == payload.keys()
    json.dumps(claims.as_payload()).encode()
    str(claims).encode()


def test_the_last_second_is_a_date_and_the_next_is_none() -> None:
    assert datetime.fromtimestamp(LAST_SECOND, UTC).year == 9999
    with pytest.raises(ValueError, match="year 10000"):
        datetime.fromtimestamp(LAST_SECOND + 1, UTC)


def test_claims_go_to_a_payload_and_back() -> None:
    assert Claims.of_payload(PAYLOAD).as_payload() == PAYLOAD
    for name, attribute in (("sid", "family"), ("secret_id", "secret_id")):
        without = {claim: value for claim, value in PAYLOAD.items() if claim != name}
        assert Claims.of_payload(without).as_payload() == without
        assert getattr(Claims.of_payload(without), attribute) is None


def test_nothing_is_issued_that_nobody_would_accept() -> None:
    claims = Claims.of_payload(PAYLOAD)
    wrong = {
        "subject": "user:x",
        "epoch": LAST_EPOCH + 1,
        "issuer": "",
        "expires_at": NOW,
        "family": "x",
        "secret_id": "x",
        "scope": "\n",
    }
    for name, value in wrong.items():
        members = {field: getattr(claims, field) for field in claims.__slots__}
        with pytest.raises(TokenInvalidError):
            Claims(**{**members, name: value}).as_payload()
