"""Row seals: fields that authorise a credential can't be changed with write access to the database alone.

A seal is HMAC-SHA-256 over the length-prefixed fields of a row, under a subkey of the sealing ring. An attacker who can
write rows but does not hold the ring can't mint a credential, widen or prolong it, move it to another owner or undo its
revocation, because the seal would not match.
"""

import hmac
from collections.abc import Sequence

from vault.errors import UnknownKeyError
from vault.framing import frame, read_stamp, stamp
from vault.rings import KeyRing, RingKey

VERSION = 1


def row_seal(ring: KeyRing, fields: Sequence[str | bytes]) -> bytes:
    """Return the seal over these fields (purpose first): version byte, length of the key id, key id, 32-byte HMAC."""
    return stamp(VERSION, ring.primary.id) + _mac(ring.primary, fields)


def row_seal_fits(ring: KeyRing, blob: bytes, fields: Sequence[str | bytes]) -> bool:
    """Return whether the seal was made over exactly these fields under a key of the ring."""
    parts = read_stamp(blob, VERSION)
    if parts is None:
        return False
    try:
        key = ring[parts[0]]
    except UnknownKeyError:
        return False
    return hmac.compare_digest(parts[1], _mac(key, fields))


def _mac(key: RingKey, fields: Sequence[str | bytes]) -> bytes:
    mac = key.row_seal_mac.copy()
    mac.update(frame((stamp(VERSION, key.id), *fields)))
    return mac.digest()
