"""Sealing: a secret at rest, encrypted with AES-256-GCM (NIST SP 800-38D) under the sealing ring.

Stored form: version byte, length and id of the sealing key, 96-bit nonce, ciphertext with its 128-bit tag. The stamp
and the caller's context are associated data: a ciphertext moved to another row, key, owner or environment, or given
another key id, does not open.
"""

import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.errors import SealBrokenError
from vault.framing import frame, read_stamp, stamp
from vault.rings import KeyRing

VERSION = 1
NONCE_BYTES = 12
TAG_BYTES = 16


def seal(ring: KeyRing, plaintext: str, context: Sequence[str]) -> bytes:
    """Encrypt the text under the ring's first key, bound to `context` (purpose first)."""
    head = stamp(VERSION, ring.primary.id)
    # A random nonce is safe for 2**32 sealings under one key; a portal seals once per secret.
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(ring.primary.for_sealing).encrypt(nonce, plaintext.encode(), frame((head, *context)))
    return head + nonce + sealed


def unseal(ring: KeyRing, blob: bytes, context: Sequence[str]) -> str:
    """Decrypt what `seal` gave for the same context.

    Raises `SealBrokenError` if a bit of the value or of the context differs, `UnknownKeyError` if its key has left the
    ring.
    """
    parts = read_stamp(blob, VERSION)
    if parts is None or len(parts[1]) < NONCE_BYTES + TAG_BYTES:
        raise SealBrokenError("not a sealed value")
    key_id, rest = parts
    head = stamp(VERSION, key_id)
    try:
        opened = AESGCM(ring[key_id].for_sealing).decrypt(
            rest[:NONCE_BYTES], rest[NONCE_BYTES:], frame((head, *context))
        )
        return opened.decode()
    except InvalidTag:
        raise SealBrokenError("the sealed value does not fit its context") from None
    except UnicodeDecodeError:
        # Somebody who holds the ring sealed it, and it was not `seal`; the cause would quote the plaintext.
        raise SealBrokenError("what was sealed is no text") from None
