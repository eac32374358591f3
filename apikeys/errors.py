"""Errors that the verbs of keys raise. Each carries one sentence that helps the caller."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from integrity.sealed import TamperedRowError


class APIKeyError(Exception):
    """Root of every error of this app. Its text may be shown to the user."""


class NotAllowedError(APIKeyError):
    """The owner may not have keys: the account is inactive, or its e-mail address is not confirmed."""


class TooManyKeysError(APIKeyError):
    """The owner already has as many keys as the portal allows."""


class ScopeNotAllowedError(APIKeyError):
    """A scope is not in the catalogue, or only operators may grant it."""


class UnknownScopeError(ScopeNotAllowedError):
    """Some scopes are not in the catalogue. A name may be anything, even a secret, so the error has their places."""

    def __init__(self, places: Sequence[int]) -> None:
        numbers = " and ".join(str(place + 1) for place in places)
        super().__init__(f"Not in the catalogue: number {numbers} of these scopes.")
        self.places = places


class ReservedScopeError(ScopeNotAllowedError):
    """Only operators may grant these scopes of the catalogue."""

    def __init__(self, names: Collection[str]) -> None:
        super().__init__(f"Only operators can grant {', '.join(names)}.")
        self.names = names


class AlreadyCreatedError(APIKeyError):
    """This form has already created its key. Carries the key's id; the secret is not shown again."""

    def __init__(self, key_id: str) -> None:
        super().__init__("This form has already created its key.")
        self.key_id = key_id


class ChangedMeanwhileError(APIKeyError):
    """The key changed between reading and writing."""


class KeyEndedError(APIKeyError):
    """The key is revoked or expired, so there is nothing to rotate, pause or resume."""


class RotatingError(APIKeyError):
    """An overlap is running, or someone else has just rotated the key: it never has three live secrets."""


class StillRunningError(APIKeyError):
    """The first call with this Idempotency-Key has not been answered yet."""


class DifferentCallError(APIKeyError):
    """Another call was made with this Idempotency-Key."""


class AnswerDestroyedError(APIKeyError):
    """The call was carried out before, and its answer is no longer kept."""


class BeyondCallerError(APIKeyError):
    """The key would have more rights than its caller. `pointer` names the member of the body.

    `scopes` are those that the caller lacks, as far as they may be named; `about` says which credential it is.
    """

    def __init__(
        self,
        message: str,
        *,
        pointer: str = "",
        scopes: Collection[str] = (),
        about: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.pointer = pointer
        self.scopes = scopes
        self.about = about


class CallerChangedError(APIKeyError):
    """The key that calls was rotated, paused or ended while its call was being carried out."""


class OverlapError(APIKeyError):
    """This is not an overlap, or it is longer than the portal allows."""


class PausedByOperatorError(APIKeyError):
    """An operator paused the key, and only an operator can resume it."""


class PolicyError(APIKeyError):
    """The operators' policy for this environment does not allow it."""


class PauseEndError(PolicyError):
    """A pause can't end then."""


class NotRevealableError(APIKeyError):
    """There is nothing to reveal: the secret is show-once, the key is revoked, or the portal reveals no secrets."""


class IntegrityViolationError(APIKeyError, TamperedRowError):
    """The row or the ciphertext is not as the portal wrote it."""

    what = "key"


class TamperedPolicyError(IntegrityViolationError):
    """The operators' policy is not as the portal wrote it, so nothing is done that depends on it."""

    what = "policy"
