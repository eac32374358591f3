"""What can go wrong in the safe. No message ever holds key material or a plaintext."""


class VaultError(Exception):
    """Root of every error that this package raises."""


class RingError(VaultError):
    """A key ring is written wrongly. The message names the ring and the key id, never the key."""


class UnknownKeyError(VaultError):
    """Something was written under a key that is not in the ring (any more)."""

    def __init__(self, ring: str, key_id: str) -> None:
        super().__init__(f"the {ring} ring has no key with the id {key_id!r}")
        self.ring = ring
        self.key_id = key_id


class SealBrokenError(VaultError):
    """A sealed value, or the context it was sealed with, is not what was sealed."""


class TokenError(VaultError):
    """A signed token is not to be accepted. Says why in the log, never to whoever sent it."""


class TokenInvalidError(TokenError):
    """It is not a token that this ring signed for this purpose."""


class TokenForAnotherError(TokenInvalidError):
    """A token that this ring signed for another audience."""
