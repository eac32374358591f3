"""What is found in a pasted text, whatever was copied along with it."""

import base64
from typing import Final
from urllib.parse import quote, urlencode

import pytest

from credentials.kinds import Kind, kind_of
from tokens.pasted import MAX_LENGTH, PastedText, find_pasted
from vault.secret_format import checksum, new_id

pytestmark = [pytest.mark.finding("H24"), pytest.mark.once]


def fixed(kind: str) -> str:
    """Return a secret that is the same in every process, because it names tests."""
    body = f"kp_{kind}_" + "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
    return body + checksum(body)


SECRET: Final = fixed("live")
TEST_SECRET: Final = fixed("test")
REFRESH: Final = fixed("refresh")
TOKEN: Final = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln-bmF0_XJl"
KEY_ID: Final = "key_0123456789ABCDEFGHIJKL"
WHOLE: Final = {Kind.API_KEY: SECRET, Kind.REFRESH_TOKEN: REFRESH, Kind.ACCESS_TOKEN: TOKEN, Kind.PUBLIC_ID: KEY_ID}
CREDENTIALS: Final = (SECRET, TEST_SECRET, REFRESH, TOKEN)
AROUND: Final = {
    "alone": "{}",
    "blanks": "  {} \t",
    "newlines": "\r\n{}\n\n",
    "quotes": '"{}"',
    "single quotes": "'{}'",
    "typographic quotes": "“{}”",
    "backticks": "`{}`",
    "a fence": "```\n{}\n```",
    "Bearer": "Bearer {}",
    "bearer in capitals": "BEARER   {}",
    "a header": "Authorization: Bearer {}",
    "a header in quotes": '-H "Authorization: Bearer {}"',
    "curl": "curl -sS -H 'Authorization: Bearer {}' \\\n  https://api.example.com/v1/me",
    "curl's user": "curl -u {} https://portal.example/oauth/token",
    "a trailing comma": "{},",
    "a full stop": "The key is {}.",
    "JSON": '{{"access_token": "{}", "token_type": "Bearer"}}',
    "an environment": "export API_KEY={}; ./run",
    "YAML": "apiKey: {} # production",
    "an address": "https://x:{}@api.example.com/",
    "zero-width characters": "\ufeff{}\u200b\u2060",
    "blanks that don't break": "\u00a0{}\u00a0\u202f\u3000",
    "a soft hyphen": "{}\u00ad",
    "turned around": "\u202e{}\u202c",
    "angle brackets": "<{}>",
    "a table": "| key | {} | live |",
    "HTML": "<code>{}</code>",
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND.keys())
@pytest.mark.parametrize("kind", WHOLE)
def test_a_credential_is_found_whatever_stands_around_it(kind: Kind, around: str) -> None:
    assert find_pasted(around.format(WHOLE[kind]))[0] == PastedText(kind, WHOLE[kind])


@pytest.mark.parametrize("text", CREDENTIALS)
def test_what_is_found_is_not_in_its_repr(text: str) -> None:
    assert text not in repr(find_pasted(text))


@pytest.mark.parametrize("text", CREDENTIALS)
def test_a_credential_is_found_though_it_was_broken_up_or_encoded(text: str) -> None:
    middle = len(text) // 2
    for spelling in (
        f"{text[:middle]}\n{text[middle:]}",
        f"{text[:middle]}\u200b{text[middle:]}",
        f"> {text[:20]}\r\n  {text[20:40]}\r\n  {text[40:]}",
        quote(f"Bearer {text}"),
        urlencode({"authorization": f"Bearer {text}"}),
    ):
        assert find_pasted(spelling.removeprefix("> "))[0].text == text


@pytest.mark.parametrize("secret", [SECRET, TEST_SECRET])
def test_the_secret_of_a_basic_pair_is_meant(secret: str) -> None:
    for pair in (f"{KEY_ID}:{secret}", f"{quote(KEY_ID)}:{quote(secret)}"):
        encoded = base64.b64encode(pair.encode()).decode()
        for text in (
            f"Basic {encoded}",
            f"Authorization: basic {encoded.rstrip('=')}",
            f"-H 'Authorization: Basic {encoded}'",
        ):
            assert find_pasted(text)[0].text == secret
    assert find_pasted(f"curl -u {KEY_ID}:{secret} https://portal")[0].text == secret
    alone = base64.b64encode(f"{KEY_ID}:".encode()).decode()
    assert find_pasted(f"Basic {alone}")[0].text == KEY_ID
    assert find_pasted("Basic !!!! Basic YQ Basic /w==") == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (SECRET[:-1], Kind.API_KEY),
        (SECRET[:20], Kind.API_KEY),
        (f"{SECRET[:-1]}!", Kind.API_KEY),
        (SECRET.swapcase(), Kind.API_KEY),
        ("kp_live_", Kind.API_KEY),
        ("kp_prod_abc", Kind.API_KEY),
        (REFRESH[:-3], Kind.REFRESH_TOKEN),
        (TOKEN.rpartition(".")[0], Kind.ACCESS_TOKEN),
        (TOKEN.partition(".")[0], Kind.ACCESS_TOKEN),
        (KEY_ID[:-1], Kind.PUBLIC_ID),
        (f"{KEY_ID}0", Kind.PUBLIC_ID),
    ],
)
def test_what_begins_like_a_credential_is_told_from_a_whole_one(text: str, kind: Kind) -> None:
    for spelling in (text, f"Bearer {text}", f"'{text}',"):
        found = find_pasted(spelling)
        assert [(one.kind, one.whole) for one in found] == [(kind, False)], spelling


def test_a_secret_with_something_glued_to_it_is_found() -> None:
    assert find_pasted(f"{SECRET}Bearer")[0] == PastedText(Kind.API_KEY, SECRET)
    assert find_pasted(f"x{SECRET}")[0] == PastedText(Kind.API_KEY, SECRET)


@pytest.mark.parametrize("hint", [f"kp_live_…{SECRET[-4:]}", f"kp_live_...{SECRET[-4:]}"])
def test_a_hint_is_found_and_its_end_alone(hint: str) -> None:
    assert find_pasted(f"the key {hint}, please")[0] == PastedText(Kind.HINT, f"kp_live_…{SECRET[-4:]}")
    assert find_pasted(f" {SECRET[-4:]}\n") == [PastedText(Kind.HINT, SECRET[-4:])]


def test_the_most_telling_comes_first_and_each_once() -> None:
    text = f"{KEY_ID} {SECRET[:20]} kp_live_…abcd {TOKEN} {SECRET} {SECRET}"
    found = [(one.kind, one.whole) for one in find_pasted(text)]
    assert found[:2] == [(Kind.API_KEY, True), (Kind.ACCESS_TOKEN, True)]
    assert found[-1] == (Kind.API_KEY, False)
    assert len(found) == len(set(found)) == 5


@pytest.mark.parametrize(
    "text", ["", " ", "hello world", "key_id", "v1.2.3", "example.com", "dev@example.com:password", "\0"]
)
def test_other_texts_hold_nothing(text: str) -> None:
    assert find_pasted(text) == []


@pytest.mark.parametrize(
    "text", ["eyJ", "eyJa.", "a.", "kp_", "kp_live_", "Basic ", "%", "\u200b", "key_aaaaaaaaaa", "Basic QQ"]
)
def test_a_text_of_any_length_is_read_and_no_more_of_it_than_a_credential_takes(text: str) -> None:
    find_pasted(text * 200_000)
    assert find_pasted(" " * MAX_LENGTH + SECRET) == []


def test_every_kind_is_told_by_its_looks() -> None:
    assert {text: kind_of(text) for text in WHOLE.values()} == {text: kind for kind, text in WHOLE.items()}
    assert kind_of("kp_live_…abcd") is Kind.HINT
    assert kind_of("kp_") is Kind.API_KEY
    for kind in ("sec", "usr", "fam", "ref", "tok"):
        assert kind_of(new_id(kind)) is Kind.PUBLIC_ID
    for other in ("", "x", "key_", "kp", "Kp_live_x", new_id("key") + "x", "xyz_" + "0" * 22):
        assert kind_of(other) is None
