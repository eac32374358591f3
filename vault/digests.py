"""Index digests: how a secret is found in a database that does not hold it.

HMAC-SHA-256 (RFC 2104) under the index ring. A fast function is right here: its input is 256 random bits, which nobody
guesses (OWASP ASVS 11.4.1 asks for slow hashes where people choose the secret). Without the ring a digest is noise.
"""

from vault.rings import KeyRing, RingKey

DIGEST_BYTES = 32


def index_digest(key: RingKey, secret: str) -> bytes:
    """Give the 32 bytes under which a secret is stored and looked up."""
    mac = key.digest_mac.copy()
    # Any text has a digest, one with a lone surrogate too, which UTF-8 can't write: it is then of no secret of ours.
    mac.update(secret.encode("utf-8", "surrogatepass"))
    return mac.digest()


def index_digests(ring: KeyRing, secret: str) -> list[bytes]:
    """Give the digests under which a secret may be stored: one for each key of the ring, the writing one first."""
    return [index_digest(key, secret) for key in ring]
