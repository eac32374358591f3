"""The header of HTTP Basic, as RFC 7617 writes it."""

import base64

import pytest

from credentials.refusals import RefusedError
from tokens.basic import basic_credentials

pytestmark = pytest.mark.once


def encoded(text: str | bytes, *, scheme: str = "Basic ") -> str:
    raw = text if isinstance(text, bytes) else text.encode()
    return scheme + base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (encoded("dev@example.com:word"), ("dev@example.com", "word")),
        (encoded("user:pass:word"), ("user", "pass:word")),
        (encoded("user:"), ("user", "")),
        (encoded(":word"), ("", "word")),
        (encoded("jürgen:påsswörd ☃"), ("jürgen", "påsswörd ☃")),
        (encoded("user:word", scheme="basic "), ("user", "word")),
        (encoded("user:word", scheme="BASIC   ") + " ", ("user", "word")),
    ],
)
def test_user_and_password_are_what_stands_around_the_first_colon(header: str, expected: tuple[str, str]) -> None:
    assert basic_credentials(header) == expected


@pytest.mark.parametrize("header", [None, "", "Bearer abc", "Basics YTpi", "Digest Basic YTpi"])
def test_another_scheme_or_none_is_no_log_in(header: str | None) -> None:
    assert basic_credentials(header) is None


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic !",
        "Basic YTpi!",
        "Basic YTp",
        encoded("no colon"),
        encoded(b"\xff:word"),
        encoded("us\x00er:word"),
        encoded("user:wo\nrd"),
        encoded("user:word\x7f"),
        encoded("user:word\x85"),
    ],
)
def test_a_header_that_cannot_be_read_is_a_wrong_log_in(header: str) -> None:
    with pytest.raises(RefusedError) as caught:
        basic_credentials(header)
    refusal = caught.value.refusal
    assert (refusal.code, refusal.challenge()) == ("invalid_login", 'Basic realm="keyportal", charset="UTF-8"')
    assert "word" not in str(caught.value) + repr(caught.value)
