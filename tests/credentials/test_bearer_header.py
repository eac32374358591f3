"""The Authorization header, as RFC 6750 and RFC 9110 write it."""

import pytest

from credentials.bearer import bearer_token
from credentials.refusals import RefusedError

pytestmark = pytest.mark.once


def environ(header: str | None, query: str = "") -> dict[str, str]:
    given = {} if header is None else {"HTTP_AUTHORIZATION": header}
    return {**given, "QUERY_STRING": query}


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER   abc", "Bearer abc ", "bEaReR abc"])
def test_the_scheme_is_case_insensitive_and_spaces_may_be_several(header: str) -> None:
    assert bearer_token(environ(header)) == "abc"


@pytest.mark.parametrize("token", ["a.b-c_d~e+f/g", "abc=", "abc==", "kp_live_" + "x" * 49])
def test_every_character_of_b64token_is_read(token: str) -> None:
    assert bearer_token(environ(f"Bearer {token}")) == token


@pytest.mark.parametrize(
    "header", [None, "Basic YTpi", "Digest username=a", "Negotiate YII=", "AWS4-HMAC-SHA256 x", "Bearerabc"]
)
def test_no_header_and_other_schemes_are_no_credential(header: str | None) -> None:
    assert bearer_token(environ(header)) is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer a b",
        'Bearer "abc"',
        "Bearer é",
        "Bearer a\x00b",
        "Bearer a,Bearer b",
        "Bearer a,Basic YTpi",
        "Basic YTpi,Bearer a",
        "Basic YTpi, bearer a",
        "Bearer\tabc",
        "Bearer =abc",
        "Bearer a=b",
        "é x",
        ",",
    ],
)
def test_what_is_not_one_well_formed_credential_is_malformed(header: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        bearer_token(environ(header))
    assert refusal.value.refusal.code == "malformed_request"


def test_a_second_credential_in_the_query_is_malformed() -> None:
    with pytest.raises(RefusedError) as refusal:
        bearer_token(environ("Bearer abc", "x=1&access_token=def"))
    assert refusal.value.refusal.code == "malformed_request"


def test_a_credential_in_the_query_alone_is_none() -> None:
    assert bearer_token(environ(None, "access_token=def")) is None


def test_a_query_that_only_mentions_the_word_is_no_second_credential() -> None:
    assert bearer_token(environ("Bearer abc", "topic=access_token")) == "abc"


@pytest.mark.parametrize("scheme", ["Bearer ", "Basic "])
def test_a_header_over_the_limit_is_refused_before_it_is_read(scheme: str) -> None:
    max_length = scheme + "x" * (8192 - len(scheme))
    assert (bearer_token(environ(max_length)) is None) is (scheme == "Basic ")
    with pytest.raises(RefusedError) as refusal:
        bearer_token(environ(max_length + "x"))
    assert refusal.value.refusal.code == "malformed_request"


def test_a_request_without_a_query_has_no_second_credential() -> None:
    assert bearer_token({"HTTP_AUTHORIZATION": "Bearer abc"}) == "abc"


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(RefusedError) as refusal:
        bearer_token(environ("Bearer planted planted"))
    assert "planted" not in repr(refusal.value) + str(refusal.value) + refusal.value.refusal.challenge()
