"""Row seals: what authorises a credential can't be changed by writing to the database alone.

HMAC-SHA-256 over the length-prefixed fields of a row, under a subkey of the sealing ring. Whoever can write rows but
does not hold the ring can't widen, move, prolong, take back or mint a credential: the seal would not fit.
"""

import hmac
from collections.abc import Sequence

from vault.errors import UnknownKeyError
from vault.framing import frame, read_stamp, stamp
from vault.rings import KeyRing, RingKey

VERSION = 1


def row_seal(ring: KeyRing, fields: Sequence[str | bytes]) -> bytes:
    """Give the seal over these fields (purpose first): version byte, key id, 32 bytes of HMAC."""
    return stamp(VERSION, ring.primary.id) + _mac(ring.primary, fields)


def row_seal_fits(ring: KeyRing, blob: bytes, fields: Sequence[str | bytes]) -> bool:
    """Tell whether the seal was made over just these fields by a holder of the ring."""
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
