"""Texts that others read: what can't be seen and what turns them around is refused, and every script is welcome."""

import unicodedata

import pytest
from django.core.exceptions import ValidationError

from accounts.characters import JOINERS, fault_at, is_invisible, visible_length
from accounts.names import ACCENTS_IN_A_ROW, MARKS_IN_A_ROW, clean_text, printable
from vault.secret_format import new_secret

pytestmark = [pytest.mark.finding("H26"), pytest.mark.once]
WELCOME = {
    "a programmer": "👩‍💻 at work",
    "the rainbow flag": "🏳️‍🌈",
    "a flag of a region": "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "a flag of a country": "🇩🇪",
    "keycaps": "1️⃣ and #️⃣",
    "a skin tone": "👋🏽",
    "skin tone and joiner": "👨🏽‍🚀",
    "a heart on fire": "❤️‍🔥",
    "a family": "👨‍👩‍👧‍👦",
    "a kiss": "🧑🏿‍❤️‍💋‍🧑🏻",
    "a ball of old": "⛹️‍♂️ ⛹🏽‍♂️",
    "text style": "☺︎ ©️ ℹ️ ‼️",
    "Persian": "می‌خواهم",
    "Persian behind Latin": "API‌های من",
    "Hindi": "क्‍ष श्री",
    "Sinhala": "ශ්‍රී ලංකා",
    "Malayalam at the end": "ന്‍",
    "Burmese": "မြှောက်",
    "Tibetan": "བརྒྱུད",
    "Hebrew with points": "שָׁלוֹם",
    "Arabic": "مفتاح الفواتير 🔑",
    "Thai": "กำลัง",
    "Vietnamese": "Việt Nam",
    "Mongolian": "ᠮᠣᠩᠭᠣᠯ᠋",
    "a Japanese place": "葛\U000e0100城",
    "three accents": "a̖̭̓",
    "Latin": "Zoë's “billing” server — №1",
}
DIRECTION = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
NOTHING_TO_SEE = "\u3164\u115f\u1160\uffa0\u2800\u00ad\ufe0f\ufe00\u180b\U000e0100\u200b\u2060\ufeff\u034f\u200d\u200c"
NOTHING_TO_SEE += "\u00a0\u2003\u3000\u202f\u1680\t\n\u2028\U000e0041\u17b4\u2061\U0001d159"


def refusal(text: str, max_length: int = 100) -> str:
    with pytest.raises(ValidationError) as refused:
        clean_text(text, max_length=max_length)
    assert all(text not in message for message in refused.value.messages)
    return str(refused.value.code)


@pytest.mark.parametrize("text", WELCOME.values(), ids=WELCOME.keys())
def test_every_script_and_every_emoji_is_welcome(text: str) -> None:
    assert clean_text(text, max_length=100) == unicodedata.normalize("NFC", text)
    assert clean_text(f"the {text} key", max_length=100) == unicodedata.normalize("NFC", f"the {text} key")
    assert printable(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("character", NOTHING_TO_SEE, ids=ascii)
def test_a_text_of_nothing_that_can_be_seen_is_refused(character: str) -> None:
    for text in (character, character * 3, f" {character} "):
        with pytest.raises(ValidationError):
            clean_text(text, max_length=100)
        assert printable(text) == ""
    assert clean_text("", max_length=100, needed=False) == ""


@pytest.mark.parametrize("character", NOTHING_TO_SEE, ids=ascii)
def test_what_can_not_be_seen_is_taken_off_the_ends(character: str) -> None:
    assert clean_text(f"{character}name{character}{character}", max_length=100) == "name"


@pytest.mark.parametrize("blank", "\u00a0\u2003\u3000\u202f\u1680\u205f\u2800", ids=ascii)
def test_every_blank_inside_is_a_plain_one(blank: str) -> None:
    assert clean_text(f"billing{blank}{blank}server", max_length=100) == "billing server"


@pytest.mark.parametrize("character", DIRECTION, ids=ascii)
def test_what_turns_a_text_around_is_refused_wherever_it_stands(character: str) -> None:
    for text in (f"a{character}b", f"{character}a", f"a{character}", f"مفتاح{character} 1"):
        assert refusal(text) == "direction"
        assert character not in printable(text)


@pytest.mark.sweep
def test_no_character_that_nobody_sees_or_knows_stands_between_letters() -> None:
    """None is let through that Unicode calls control, format, private or nothing; of long runs of these each 61st."""
    visible_formats = set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
    for code in range(0x110000):
        character = chr(code)
        category = unicodedata.category(character)
        if category in ("Co", "Cn") and code % 61 and unicodedata.category(chr(code - 1)) == category:
            continue
        if category in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp"):
            assert fault_at(f"a{character}b", 1), hex(code)
        if category == "Cf" and character not in visible_formats:
            assert fault_at(f"a{character}b", 1), hex(code)
        if character.isalnum() and not is_invisible(character):
            assert fault_at(f"a{character}b", 1) is None, hex(code)


@pytest.mark.parametrize(
    "text",
    [
        *(f"ad{joiner}min" for joiner in JOINERS),
        *(f"-{joiner}-" for joiner in JOINERS),
        "क\u200d\u200dष",
        "★\u200d★",
        "a\ufe0fb",
        "1\ufe0f2",
        "+\ufe0f+",
        "a\U000e0100b",
        "x\U0001f3f4\U000e0061\U000e0062\U000e0063\U000e007fx",
        "x\U000e0067\U000e0062x",
    ],
    ids=ascii,
)
def test_joiners_and_selectors_without_a_word_or_an_emoji_are_refused(text: str) -> None:
    assert refusal(text) == "invisible"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a\x07b", "control"),
        ("a\nb", "control"),
        ("a\x85b", "control"),
        ("a\u2028b", "control"),
        ("a\ud800b", "meaningless"),
        ("a\ufdd0b", "meaningless"),
        ("a\uffffb", "meaningless"),
        ("a\ue000b", "meaningless"),
        ("a\u0378b", "meaningless"),
        ("a\ufffcb", "invisible"),
        ("\u0301a", "marks"),
        ("\u0301", "required"),
        ("x" * 101, "too_long"),
        ("🇩🇪" * 101, "too_long"),
        ("👨‍👩‍👧‍👦" * 20, "too_many_code_points"),
    ],
    ids=ascii,
)
def test_a_refusal_says_what_is_wrong_and_quotes_nothing(text: str, code: str) -> None:
    assert refusal(text) == code


def test_the_place_of_what_is_wrong_is_told() -> None:
    with pytest.raises(ValidationError, match="A reason can't contain invisible characters; character 5 is one"):
        clean_text("leak\u200bed", what="A reason", max_length=100)


def test_only_so_many_accents_stand_on_one_letter() -> None:
    accents = "".join(map(chr, range(0x316, 0x330)))
    within, beyond = "q" + accents[:ACCENTS_IN_A_ROW], "q" + accents[: ACCENTS_IN_A_ROW + 1]
    assert clean_text(within, max_length=100) == within
    assert refusal(beyond) == "marks"
    assert printable(beyond + "x") == within + "x"
    points = "".join(map(chr, range(0x591, 0x5A0)))
    assert clean_text("א" + points[:MARKS_IN_A_ROW], max_length=100)
    assert refusal("א" + points[: MARKS_IN_A_ROW + 1]) == "marks"
    split = "क" + "\u0301" * 3 + "\u200d" + "\u0301" * 3
    assert refusal(split) in ("marks", "invisible")


def test_a_length_is_counted_as_a_person_counts() -> None:
    counted = {"abc": 3, "👨‍👩‍👧‍👦": 1, "🇩🇪🇫🇷": 2, "👋🏽": 1, "é" + "\u0301" * 2: 1, "1️⃣": 1, "श्री": 2, "❤️‍🔥!": 2}
    assert {text: visible_length(text) for text in counted} == counted
    assert clean_text("é" * 100, max_length=100)
    assert clean_text("é" * 100, max_length=100) == "é" * 100  # composed


def test_a_huge_text_is_refused_before_it_is_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.names.unicodedata", None)
    assert refusal("\u0315\u0300" * 100_000) == "too_long"


@pytest.mark.parametrize("kind", ["live", "test", "refresh"])
def test_a_secret_is_no_name_and_is_not_shown_as_one(kind: str) -> None:
    secret = new_secret("kp", kind)
    assert refusal(f"leaked: {secret}!", max_length=200) == "secret"
    assert clean_text(f"leaked: {secret[:-1]}", max_length=200)
    assert printable(f"curl/8 {secret}x") == f"curl/8 kp_{kind}_…{secret[-4:]}x"
