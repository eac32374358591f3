"""Models of keys: the keys themselves, their secrets, the policies that bound them, and notices about them."""

from apikeys.models.idempotency import IdempotentAnswer
from apikeys.models.keys import EXPIRES_SOON, NAME_LENGTH, REASON_LENGTH, APIKey, Environment, new_key_id
from apikeys.models.notices import Notice
from apikeys.models.policies import KeyPolicy
from apikeys.models.secrets import KeySecret, live_secrets, new_secret_id

__all__ = [
    "EXPIRES_SOON",
    "NAME_LENGTH",
    "REASON_LENGTH",
    "APIKey",
    "Environment",
    "IdempotentAnswer",
    "KeyPolicy",
    "KeySecret",
    "Notice",
    "live_secrets",
    "new_key_id",
    "new_secret_id",
]
