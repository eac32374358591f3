"""Encode a list of fields as one byte string, so that two different lists never give the same bytes."""

from collections.abc import Iterable

from vault.rings import KEY_ID

STAMP_BYTES = 2  # version, length of the key id


def frame(fields: Iterable[str | bytes]) -> bytes:
    """Return the fields concatenated, each preceded by its length (4 bytes, big endian). Text is UTF-8.

    Without the lengths, `("ab", "c")` and `("a", "bc")` would give the same bytes.
    """
    framed = bytearray()
    for field in fields:
        raw = field.encode() if isinstance(field, str) else field
        framed += len(raw).to_bytes(4, "big") + raw
    return bytes(framed)


def stamp(version: int, key_id: str) -> bytes:
    """Return the header of a stored value: version byte, length of the key id, key id (ASCII)."""
    raw = key_id.encode("ascii")
    return bytes((version, len(raw))) + raw


def read_stamp(blob: bytes, version: int) -> tuple[str, bytes] | None:
    """Return the key id and the remaining bytes of a stored value, or None if it has no stamp of this version."""
    if len(blob) < STAMP_BYTES or blob[0] != version or len(blob) < STAMP_BYTES + blob[1]:
        return None
    end = STAMP_BYTES + blob[1]
    key_id = blob[STAMP_BYTES:end].decode("ascii", "replace")
    return (key_id, blob[end:]) if KEY_ID.fullmatch(key_id) else None
