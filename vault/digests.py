"""Index digests, by which a secret is found in a database that does not hold it (a blind index).

A digest is HMAC-SHA-256 (RFC 2104) under the index ring. A fast function is right here, because the input is 256 random
bits, which can't be guessed (OWASP ASVS 11.4.1 asks for slow hashes where people choose the secret). Without the ring,
a digest can't be told from random bytes.
"""

from vault.rings import KeyRing, RingKey

DIGEST_BYTES = 32


def index_digest(key: RingKey, secret: str) -> bytes:
    """Return the 32-byte digest under which a secret is stored and looked up."""
    mac = key.digest_mac.copy()
    # A lone surrogate must not raise: UTF-8 can't encode it, and the digest then matches none of our secrets.
    mac.update(secret.encode("utf-8", "surrogatepass"))
    return mac.digest()


def index_digests(ring: KeyRing, secret: str) -> list[bytes]:
    """Return the digests under which a secret may be stored: one for each key of the ring, the primary key's first."""
    return [index_digest(key, secret) for key in ring]
