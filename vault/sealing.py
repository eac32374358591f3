"""Sealing: secrets at rest are encrypted with AES-256-GCM (NIST SP 800-38D) under the sealing ring.

Stored form: version byte, length and id of the sealing key, 96-bit nonce, ciphertext with its 128-bit tag. The stamp
(version and key id) and the caller's context are associated data, so a ciphertext can't be opened once it is moved to
another row, key, owner or environment, or given another key id.
"""

import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.digests import frame, read_stamp, stamp
from vault.errors import SealBrokenError
from vault.rings import KeyRing

VERSION = 1
NONCE_BYTES = 12
TAG_BYTES = 16


def seal(ring: KeyRing, plaintext: str, context: Sequence[str]) -> bytes:
    """Return the text encrypted under the ring's primary key and bound to `context` (purpose first)."""
    head = stamp(VERSION, ring.primary.id)
    # A random nonce is safe for 2**32 sealings under one key; the portal seals once per secret.
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(ring.primary.for_sealing).encrypt(nonce, plaintext.encode(), frame((head, *context)))
    return head + nonce + sealed


def unseal(ring: KeyRing, blob: bytes, context: Sequence[str]) -> str:
    """Return the plaintext of a value that `seal` made for the same context.

    Raises `SealBrokenError` if the value or the context differs in a single bit, and `UnknownKeyError` if the sealing
    key is no longer in the ring.
    """
    parts = read_stamp(blob, VERSION)
    if parts is None or len(parts[1]) < NONCE_BYTES + TAG_BYTES:
        raise SealBrokenError("not a sealed value")
    key_id, encrypted = parts
    head = stamp(VERSION, key_id)
    try:
        opened = AESGCM(ring[key_id].for_sealing).decrypt(
            encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:], frame((head, *context))
        )
        return opened.decode()
    except InvalidTag:
        raise SealBrokenError("the sealed value does not fit its context") from None
    except UnicodeDecodeError:
        # A holder of the ring sealed bytes that `seal` would not. `from None`: the cause would quote the plaintext.
        raise SealBrokenError("what was sealed is no text") from None
