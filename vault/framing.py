"""Fields in one byte string, so that no two different lists of fields give the same bytes."""

from collections.abc import Iterable

from vault.rings import KEY_ID

STAMP_BYTES = 2  # version, length of the key id


def frame(fields: Iterable[str | bytes]) -> bytes:
    """Give the fields one after the other, each behind its length (4 bytes, big endian). Text is UTF-8.

    Without the lengths `("ab", "c")` and `("a", "bc")` would authenticate each other.
    """
    framed = bytearray()
    for field in fields:
        raw = field.encode() if isinstance(field, str) else field
        framed += len(raw).to_bytes(4, "big") + raw
    return bytes(framed)


def stamp(version: int, key_id: str) -> bytes:
    """Give the head of a stored value: version byte, length of the key id, key id (ASCII)."""
    raw = key_id.encode("ascii")
    return bytes((version, len(raw))) + raw


def read_stamp(blob: bytes, version: int) -> tuple[str, bytes] | None:
    """Return the key id and the rest of a stored value; None if it does not begin with a stamp of that version."""
    if len(blob) < STAMP_BYTES or blob[0] != version or len(blob) < STAMP_BYTES + blob[1]:
        return None
    end = STAMP_BYTES + blob[1]
    key_id = blob[STAMP_BYTES:end].decode("ascii", "replace")
    return (key_id, blob[end:]) if KEY_ID.fullmatch(key_id) else None
