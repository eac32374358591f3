"""The errors of the vault. No message ever holds key material or plaintext."""


class VaultError(Exception):
    """Root of every error that this package raises."""


class RingError(VaultError):
    """A key ring is not written correctly. The message names the ring and the key id, never the key."""


class UnknownKeyError(VaultError):
    """A value was written under a key that is not in the ring, or is no longer in it."""

    def __init__(self, ring: str, key_id: str) -> None:
        super().__init__(f"the {ring} ring has no key with the id {key_id!r}")
        self.ring = ring
        self.key_id = key_id


class SealBrokenError(VaultError):
    """A sealed value, or the context it is opened with, differs from what was sealed."""


class TokenError(VaultError):
    """A signed token must not be accepted. The reason goes to the log, never to the sender."""


class TokenInvalidError(TokenError):
    """The text is not a token that this ring signed for this purpose."""


class TokenForAnotherError(TokenInvalidError):
    """This ring signed the token, but for another audience."""
