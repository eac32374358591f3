"""Key rings as they are written, and as they must not be."""

import base64
import hmac
import json
import traceback
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.portal import ROOT
from vault.errors import RingError, UnknownKeyError, VaultError
from vault.rings import KeyRing, new_entry

pytestmark = pytest.mark.once
VECTORS: dict[str, Any] = json.loads((ROOT / "tests/vault/vectors.json").read_text())
MATERIAL = bytes.fromhex(VECTORS["ring_key_hex"])
ENCODED = base64.b64encode(MATERIAL).decode()


def hkdf(material: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, no salt, one block: written here to check the other."""
    extracted = hmac.new(bytes(32), material, sha256).digest()
    return hmac.new(extracted, info + b"\x01", sha256).digest()


def test_the_first_key_writes_and_all_of_them_read() -> None:
    one, two = new_entry("new"), new_entry("old-1")
    ring = KeyRing.parse("sealing", f" {one} , {two},")
    assert ring.primary.id == "new"
    assert [key.id for key in ring] == ["new", "old-1"]
    assert ring["old-1"].id == "old-1"
    assert "old-1" in ring
    assert "other" not in ring
    with pytest.raises(UnknownKeyError, match="'other'"):
        ring["other"]


@pytest.mark.parametrize("purpose", VECTORS["subkeys"])
def test_subkeys_are_hkdf_with_a_purpose_label(purpose: str) -> None:
    key = KeyRing.parse("sealing", f"v1:{ENCODED}").primary
    assert key.subkey(purpose) == hkdf(MATERIAL, f"keyportal {purpose}".encode())
    assert key.subkey(purpose).hex() == VECTORS["subkeys"][purpose]


def test_no_two_purposes_share_a_subkey() -> None:
    key = KeyRing.parse("sealing", f"v1:{ENCODED}").primary
    used = [key.for_sealing, key.for_digests, key.for_row_seals, key.check_value, MATERIAL]
    assert len(set(used)) == len(used)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the sealing ring is empty"),
        (" , ,", "the sealing ring is empty"),
        (ENCODED, "entry 1 of the sealing ring"),
        (f"UPPER:{ENCODED}", "entry 1"),
        (f"a_b:{ENCODED}", "entry 1"),
        (f"é:{ENCODED}", "entry 1"),
        (f"{'a' * 17}:{ENCODED}", "entry 1"),
        (f":{ENCODED}", "entry 1"),
        (f"a:{ENCODED},{ENCODED}", "entry 2"),
        ("a:", "entry 1 of the sealing ring has 0 bytes"),
        ("a:b:c", "entry 1 of the sealing ring is not base64"),
        ("a:????", "entry 1 of the sealing ring is not base64"),
        (f"a:{ENCODED[:-1]}", "entry 1 of the sealing ring is not base64"),
        (f"a:{ENCODED[:20]} {ENCODED[20:]}", "entry 1 of the sealing ring is not base64"),
        (f"a:é{ENCODED}", "entry 1 of the sealing ring is not base64"),
        (f"a:{base64.b64encode(MATERIAL[:31]).decode()}", "has 31 bytes; it needs 32"),
        (f"a:{ENCODED},a:{base64.b64encode(bytes(32)).decode()}", "has the id 'a' twice"),
        (f"a:{ENCODED},b:{ENCODED}", "keys 'a' and 'b' of the sealing ring are the same"),
    ],
)
def test_a_ring_that_is_written_wrongly_is_refused_by_name_without_its_keys(text: str, says: str) -> None:
    with pytest.raises(RingError) as refused:
        KeyRing.parse("sealing", text)
    assert says in str(refused.value)
    printed = "".join(traceback.format_exception(refused.value))
    assert ENCODED not in printed.replace(repr(text), "")
    assert ENCODED[:20] not in str(refused.value)


@given(st.text(max_size=60))
def test_any_other_text_is_a_ring_error(text: str) -> None:
    with pytest.raises(RingError):
        KeyRing.parse("index", text)


def forms_of(material: bytes) -> Iterator[str]:
    yield material.hex()
    yield base64.b64encode(material).decode()
    yield repr(material)[2:-1]


def test_nothing_that_is_printed_shows_a_key() -> None:
    ring = KeyRing.parse("sealing", f"v1:{ENCODED}")
    secrets = [MATERIAL, ring.primary.for_sealing, ring.primary.for_digests, ring.primary.for_row_seals]
    printed = f"{ring} {ring!r} {ring.primary} {ring.primary!r} {list(ring)} {UnknownKeyError('sealing', 'x')!r}"
    for secret in secrets:
        assert not [form for form in forms_of(secret) if form in printed]
    assert "v1" in repr(ring)


def test_every_error_has_one_root() -> None:
    assert issubclass(RingError, VaultError)
    assert issubclass(UnknownKeyError, VaultError)


def test_a_ring_and_its_errors_say_whose_they_are() -> None:
    ring = KeyRing.parse("index", new_entry("a"))
    assert (ring.name, repr(ring), repr(ring.primary)) == ("index", "KeyRing('index', ids=['a'])", "RingKey('a')")
    with pytest.raises(UnknownKeyError) as caught:
        ring["b"]
    assert (caught.value.ring, caught.value.key_id) == ("index", "b")
    assert str(caught.value) == "the index ring has no key with the id 'b'"


def test_a_key_is_compared_by_its_bytes() -> None:
    one, twin, other = (
        KeyRing.parse("index", f"{name}:{text}").primary
        for name, text in (("a", ENCODED), ("b", ENCODED), ("c", base64.b64encode(bytes(32)).decode()))
    )
    assert one.same_material_as(twin)
    assert one.same_material(MATERIAL)
    assert not one.same_material_as(other)
    assert not one.same_material(MATERIAL + b"x")


def test_new_entries_are_fresh_and_fit() -> None:
    entries = {new_entry("x") for _ in range(100)}
    assert len(entries) == 100
    assert all(KeyRing.parse("index", entry).primary.id == "x" for entry in entries)
