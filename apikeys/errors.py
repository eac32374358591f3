"""Why a verb on a key could not be done. Each says one sentence that helps whoever asked."""


class APIKeyError(Exception):
    """Root of every error of this room. Its text may be shown to the user."""


class NotAllowedError(APIKeyError):
    """The owner may not have keys now: inactive, or e-mail address not confirmed."""


class TooManyKeysError(APIKeyError):
    """The owner has as many keys as the portal allows."""


class ScopeNotAllowedError(APIKeyError):
    """A scope is not in the catalogue, or only operators grant it."""


class AlreadyCreatedError(APIKeyError):
    """This very form has made its key already. Carries the key; its secret is not shown again."""

    def __init__(self, key_id: str) -> None:
        super().__init__("This form has created its key already.")
        self.key_id = key_id


class ChangedMeanwhileError(APIKeyError):
    """Somebody else changed the key between reading and writing."""


class NotRevealableError(APIKeyError):
    """There is nothing to reveal: a show-once secret, a revoked key, or a portal that reveals nothing."""


class IntegrityViolationError(APIKeyError):
    """The row or the ciphertext is not as the portal wrote it."""
