"""Keyed digests: HMAC-SHA-256 (RFC 2104) under a key of a ring. Without the ring, none can be made or checked.

An index digest finds a secret in a database that does not hold it (a blind index). A fast function is right here,
because the input is 256 random bits, which can't be guessed (OWASP ASVS 11.4.1 asks for slow hashes where people choose
the secret).

A row seal covers the fields of a row that authorise. An attacker who can write rows but does not hold the ring can't
mint a credential, widen or prolong it, move it to another owner or undo its revocation, because the seal would not
match.
"""

import hmac
from collections.abc import Iterable, Sequence
from typing import Final

from vault.rings import KEY_ID, KeyRing, RingKey

DIGEST_BYTES: Final = 32
VERSION: Final = 1
"""Of row seals."""
STAMP_BYTES: Final = 2  # version, length of the key id


def index_digest(key: RingKey, secret: str) -> bytes:
    """Return the 32-byte digest under which a secret is stored and looked up."""
    mac = key.digest_mac.copy()
    # A lone surrogate must not raise: UTF-8 can't encode it, and the digest then matches none of our secrets.
    mac.update(secret.encode("utf-8", "surrogatepass"))
    return mac.digest()


def index_digests(ring: KeyRing, secret: str) -> list[bytes]:
    """Return the digests under which a secret may be stored: one for each key of the ring, the primary key's first."""
    return [index_digest(key, secret) for key in ring.keys]


def row_seal(ring: KeyRing, fields: Sequence[str | bytes]) -> bytes:
    """Return the seal over these fields (purpose first): version byte, length of the key id, key id, 32-byte HMAC."""
    return stamp(VERSION, ring.primary.id) + _row_mac(ring.primary, fields)


def row_seal_is_valid(ring: KeyRing, blob: bytes, fields: Sequence[str | bytes]) -> bool:
    """Return whether the seal was made over exactly these fields under a key of the ring."""
    parts = read_stamp(blob, VERSION)
    if parts is None:
        return False
    key = ring.by_id.get(parts[0])
    return key is not None and hmac.compare_digest(parts[1], _row_mac(key, fields))


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


def _row_mac(key: RingKey, fields: Sequence[str | bytes]) -> bytes:
    mac = key.row_seal_mac.copy()
    mac.update(frame((stamp(VERSION, key.id), *fields)))
    return mac.digest()
