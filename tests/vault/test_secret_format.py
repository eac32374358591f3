"""The text of a secret, as docs/secret-format.md publishes it."""

import ast
import json
import re
import string
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.portal import ROOT
from vault.secret_format import ALPHABET, checksum, hint, id_pattern, is_well_formed, new_id, new_secret, random_text

pytestmark = pytest.mark.once
VECTORS: dict[str, Any] = json.loads((ROOT / "tests/vault/vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda vector: str(vector["checksum"]))
def test_the_published_good_vectors_are_good(vector: dict[str, str]) -> None:
    secret = vector["secret"]
    assert is_well_formed("kp", secret)
    assert (checksum(secret[:-6]), hint(secret)) == (vector["checksum"], vector["hint"])
    assert re.fullmatch(VECTORS["regular_expression"], secret)


@pytest.mark.parametrize("vector", VECTORS["bad"], ids=lambda vector: str(vector["why"]))
def test_the_published_bad_vectors_are_refused(vector: dict[str, str]) -> None:
    assert not is_well_formed("kp", vector["secret"])


def test_the_checksum_is_crc32_in_base62() -> None:
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    for body in ("kp_live_" + "a" * 43, "", "x"):
        value = 0
        for character in checksum(body):
            value = value * 62 + digits.index(character)
        assert value == zlib.crc32(body.encode())


@pytest.mark.parametrize("environment", ["live", "test"])
def test_a_new_secret_is_well_formed(environment: str) -> None:
    secret = new_secret("kp", environment)
    assert is_well_formed("kp", secret)
    assert re.fullmatch(rf"kp_{environment}_[0-9A-Za-z]{{49}}", secret)
    assert not is_well_formed("other", secret)


@given(st.integers(0, 56), st.characters())
def test_any_one_changed_character_is_noticed(position: int, character: str) -> None:
    secret: str = VECTORS["good"][0]["secret"]
    changed = secret[:position] + character + secret[position + 1 :]
    assert is_well_formed("kp", changed) is (changed == secret)


@given(st.integers(0, 55))
def test_two_swapped_neighbours_are_noticed(position: int) -> None:
    secret: str = VECTORS["good"][0]["secret"]
    swapped = secret[:position] + secret[position + 1] + secret[position] + secret[position + 2 :]
    assert is_well_formed("kp", swapped) is (swapped == secret)


@given(st.text(st.characters(codec=None), max_size=80) | st.text(st.characters(categories=["Cs"]), max_size=60))
def test_no_text_whatever_is_an_error(text: str) -> None:
    assert is_well_formed("kp", text) is False
    assert is_well_formed("kp", "kp_live_" + text) is False


@pytest.mark.parametrize("character", ["-", " ", "_", "é", "٣", "\n"])
def test_a_right_checksum_makes_no_secret_of_other_characters(character: str) -> None:
    body = "kp_live_" + character * 43
    assert not is_well_formed("kp", body + checksum(body))


@pytest.mark.parametrize("kind", ["live", "test", "refresh"])
def test_a_secret_is_of_the_kinds_that_are_asked_for(kind: str) -> None:
    secret = new_secret("kp", kind)
    assert is_well_formed("kp", secret, (kind,))
    assert is_well_formed("kp", secret) is (kind != "refresh")
    assert is_well_formed("kp", secret, [other for other in ("live", "test", "refresh") if other != kind]) is False


def test_an_id_has_the_published_pattern() -> None:
    assert re.fullmatch(id_pattern("key"), new_id("key"))
    assert id_pattern("usr") == f"usr_[{ALPHABET}]{{22}}"


def test_digits_of_other_scripts_and_very_long_texts_are_refused() -> None:
    assert not is_well_formed("kp", "kp_live_" + "٣" * 49)
    assert not is_well_formed("kp", "kp_live_" + "a" * 1_000_000)


@pytest.mark.security("K-01")
def test_secrets_do_not_repeat_and_every_character_is_equally_likely() -> None:
    drawn = [random_text(43) for _ in range(5_000)]
    assert len(set(drawn)) == len(drawn)
    counts = Counter("".join(drawn))
    expected = len(drawn) * 43 / len(ALPHABET)
    chi_square = sum((counts[character] - expected) ** 2 / expected for character in ALPHABET)
    assert chi_square < 130  # 61 degrees of freedom: exceeded by chance once in a million runs


def test_ids_name_their_kind_and_do_not_repeat() -> None:
    ids = {new_id("key") for _ in range(10_000)}
    assert len(ids) == 10_000
    assert all(re.fullmatch(r"key_[0-9A-Za-z]{22}", one) for one in ids)


@pytest.mark.security("K-01")
@pytest.mark.security("K-06")
def test_the_vault_uses_no_weak_source_and_no_framework_and_compares_in_constant_time() -> None:
    for module in sorted(Path(ROOT / "vault").glob("*.py")):
        tree = ast.parse(module.read_text())
        imported = {
            alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        imported |= {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not imported & {"random", "uuid", "django", "rest_framework"}
        compared = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Compare)]
        assert not [text for text in compared if "mac" in text or "digest" in text]
