"""What is stored: sealed secrets, index digests, row seals. A changed bit opens nothing."""

import base64
import hmac
import json
import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from tests.portal import ROOT
from vault.digests import (
    DIGEST_BYTES,
    frame,
    index_digest,
    index_digests,
    read_stamp,
    row_seal,
    row_seal_is_valid,
    stamp,
)
from vault.errors import SealBrokenError, UnknownKeyError
from vault.rings import KeyRing, new_entry
from vault.sealing import seal, unseal

pytestmark = pytest.mark.once
VECTORS: dict[str, Any] = json.loads((ROOT / "tests/vault/vectors.json").read_text())
VECTOR_RING = KeyRing.parse("sealing", f"v1:{base64.b64encode(bytes.fromhex(VECTORS['ring_key_hex'])).decode()}")
RING = KeyRing.parse("sealing", f"{new_entry('a')},{new_entry('b')}")
CONTEXT = ["key secret", "sec_1", "key_1", "usr_1", "live"]
fields = st.lists(st.text(max_size=12), max_size=5)


@given(st.text(st.characters(codec="utf-8")), fields)
def test_what_was_sealed_opens_in_its_context(text: str, context: list[str]) -> None:
    assert unseal(RING, seal(RING, text, context), context) == text


@pytest.mark.security("K-02")
def test_no_bit_of_a_sealed_value_can_be_changed() -> None:
    blob = seal(RING, "kp_live_secret", CONTEXT)
    for position in range(len(blob) * 8):
        changed = bytearray(blob)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises((SealBrokenError, UnknownKeyError)):
            unseal(RING, bytes(changed), CONTEXT)


@pytest.mark.security("K-02")
@given(st.integers(0, 4), st.text(max_size=8))
def test_no_part_of_the_context_can_be_changed(position: int, other: str) -> None:
    blob = seal(RING, "kp_live_secret", CONTEXT)
    context = [*CONTEXT[:position], other, *CONTEXT[position + 1 :]]
    if context == CONTEXT:
        return
    with pytest.raises(SealBrokenError, match=r"^the sealed value does not fit its context$"):
        unseal(RING, blob, context)


@given(st.binary(max_size=80))
def test_any_other_bytes_are_not_a_sealed_value(blob: bytes) -> None:
    with pytest.raises((SealBrokenError, UnknownKeyError)):
        unseal(RING, blob, CONTEXT)


def test_a_truncated_value_is_refused() -> None:
    blob = seal(RING, "x", CONTEXT)
    for length in range(len(blob)):
        with pytest.raises((SealBrokenError, UnknownKeyError)):
            unseal(RING, blob[:length], CONTEXT)


@pytest.mark.sweep
@pytest.mark.security("K-03")
def test_a_nonce_is_never_used_twice() -> None:
    blobs = [seal(RING, "same", CONTEXT) for _ in range(50_000)]
    assert len({blob[3:15] for blob in blobs}) == len(blobs)
    assert len(set(blobs)) == len(blobs)


@pytest.mark.finding("H11")
@pytest.mark.parametrize("raw", [b"\xff", b"\xed\xa0\x80", b"kp_live_\xc3", bytes(range(128, 256))])
def test_what_a_holder_of_the_ring_sealed_and_is_no_text_is_broken_and_not_shown(raw: bytes) -> None:
    head, nonce = stamp(1, RING.primary.id), bytes(12)
    sealed = AESGCM(RING.primary.for_sealing).encrypt(nonce, raw, frame((head, *CONTEXT)))
    with pytest.raises(SealBrokenError, match=r"^what was sealed is no text$") as caught:
        unseal(RING, head + nonce + sealed, CONTEXT)
    assert repr(raw)[2:-1] not in "".join(traceback.format_exception(caught.value))


NO_KEY_IDS = (b"", b"\0", b"a\n", b"\n", b"A", b"-a", b"a b", b"a" * 17, b"\xff", "é".encode(), b"a'--", b"x" * 255)


@pytest.mark.finding("H11")
@pytest.mark.parametrize("key_id", NO_KEY_IDS)
def test_a_stamp_holds_an_id_that_a_ring_can_have(key_id: bytes) -> None:
    blob = bytes((1, len(key_id))) + key_id + bytes(60)
    assert read_stamp(blob, 1) is None
    assert not row_seal_is_valid(RING, blob, ["x"])
    with pytest.raises(SealBrokenError, match=r"^not a sealed value$"):
        unseal(RING, blob, CONTEXT)


def test_the_shortest_sealed_value_opens_and_one_byte_less_is_none() -> None:
    blob = seal(RING, "", CONTEXT)
    assert len(blob) == len(stamp(1, RING.primary.id)) + 12 + 16
    assert unseal(RING, blob, CONTEXT) == ""
    with pytest.raises(SealBrokenError, match=r"^not a sealed value$"):
        unseal(RING, blob[:-1], CONTEXT)


def test_a_value_is_sealed_under_the_first_key_with_its_stamp_and_a_nonce_of_its_own() -> None:
    blob = seal(RING, "x", CONTEXT)
    head = stamp(1, "a")
    assert blob.startswith(head)
    nonce, sealed = blob[len(head) :][:12], blob[len(head) + 12 :]
    opened = AESGCM(RING["a"].for_sealing).decrypt(nonce, sealed, frame((head, *CONTEXT)))
    assert opened == b"x"


@given(st.sampled_from(["a", "0", "a-", "k" * 16]), st.binary(max_size=8), st.integers(0, 255))
def test_a_stamp_is_read_as_it_was_written_and_of_its_version_only(key_id: str, rest: bytes, version: int) -> None:
    blob = stamp(version, key_id) + rest
    assert read_stamp(blob, version) == (key_id, rest)
    assert read_stamp(blob, version ^ 1) is None
    assert read_stamp(blob[: 1 + len(key_id)], version) is None


@pytest.mark.finding("H11")
@given(st.text(st.characters()))
def test_any_text_has_a_digest_of_its_own(text: str) -> None:
    digest = index_digest(RING.primary, text)
    assert len(digest) == DIGEST_BYTES
    assert digest != index_digest(RING.primary, text + "\ud800")


def test_a_value_sealed_under_an_older_key_opens_while_that_key_is_in_the_ring() -> None:
    old, new = new_entry("old"), new_entry("new")
    blob = seal(KeyRing.parse("sealing", old), "x", CONTEXT)
    assert unseal(KeyRing.parse("sealing", f"{new},{old}"), blob, CONTEXT) == "x"
    with pytest.raises(UnknownKeyError, match="'old'"):
        unseal(KeyRing.parse("sealing", new), blob, CONTEXT)


def test_the_published_vectors_fit() -> None:
    sealed, digest, row = (VECTORS[name] for name in ("sealed", "index_digest", "row_seal"))
    assert unseal(VECTOR_RING, bytes.fromhex(sealed["blob_hex"]), sealed["context"]) == sealed["plaintext"]
    assert index_digest(VECTOR_RING.primary, digest["secret"]).hex() == digest["digest_hex"]
    assert row_seal_is_valid(VECTOR_RING, bytes.fromhex(row["blob_hex"]), row["fields"])
    assert row_seal(VECTOR_RING, row["fields"]).hex() == row["blob_hex"]


def test_a_digest_is_hmac_sha256_under_the_subkey() -> None:
    subkey = bytes.fromhex(VECTORS["subkeys"]["index digest v1"])
    expected = hmac.new(subkey, b"kp_live_x", "sha256").digest()
    assert index_digest(VECTOR_RING.primary, "kp_live_x") == expected


def test_a_secret_is_looked_for_under_every_key_of_the_ring_the_writing_one_first() -> None:
    digests = index_digests(RING, "kp_live_x")
    assert digests == [index_digest(RING["a"], "kp_live_x"), index_digest(RING["b"], "kp_live_x")]
    assert len(set(digests)) == 2


@given(fields, fields)
def test_a_row_seal_fits_its_own_fields_only(sealed: list[str], asked: list[str]) -> None:
    assert row_seal_is_valid(RING, row_seal(RING, sealed), asked) is (sealed == asked)


@given(st.binary(max_size=50))
def test_any_other_bytes_are_not_a_row_seal(blob: bytes) -> None:
    assert not row_seal_is_valid(RING, blob, ["x"])


def test_a_row_seal_is_not_taken_for_one_of_another_key() -> None:
    blob = row_seal(RING, ["x"])
    assert not row_seal_is_valid(KeyRing.parse("sealing", new_entry("c")), blob, ["x"])  # which nobody has any more
    assert not row_seal_is_valid(RING, blob.replace(b"a", b"b", 1), ["x"])
    assert not row_seal_is_valid(KeyRing.parse("sealing", new_entry("a")), blob, ["x"])


@given(st.lists(st.text(max_size=6) | st.binary(max_size=6), max_size=5), st.lists(st.text(max_size=6), max_size=5))
def test_no_two_lists_of_fields_are_framed_alike(one: list[str | bytes], other: list[str]) -> None:
    def raw(listed: list[Any]) -> list[bytes]:
        return [field.encode() if isinstance(field, str) else field for field in listed]

    assert (frame(one) == frame(other)) is (raw(one) == raw(other))
