"""Show a secret again."""

import logging

from django.db import transaction

from apikeys import emails
from apikeys.errors import IntegrityViolationError, NotRevealableError
from apikeys.models import KeySecret
from apikeys.services.policies import policy_of
from apikeys.services.secrets import may_reveal
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from integrity.key_check import RingMisfitError
from integrity.sealing import unseal_value
from vault.errors import VaultError

logger = logging.getLogger(__name__)


def reveal(*, secret: KeySecret, origin: Origin) -> str:
    """Decrypt a secret and return it for its owner. The reveal is recorded, and the owner is notified by e-mail.

    The caller must require a fresh log-in first. Raises `NotRevealableError` or `IntegrityViolationError`.
    """
    key = secret.key
    if secret.ciphertext is None or secret.is_retired or key.revoked_at or not may_reveal(policy_of(key.environment)):
        raise NotRevealableError("This secret can't be shown again.")
    try:
        with transaction.atomic():
            record_event(EventType.KEY_REVEALED, subject=f"key:{key.pk}", origin=origin, secret=secret.hint)
            emails.send_key_revealed(key, origin)
            return unseal_value(bytes(secret.ciphertext), secret.sealing_context(key))
    except RingMisfitError:
        raise
    except VaultError as error:
        logger.exception("integrity_violation: the ciphertext of %s can't be decrypted", key.pk)
        # The rollback removed the event that says the secret was revealed, so record the failed attempt separately.
        record_event(EventType.REVEAL_FAILED, subject=f"key:{key.pk}", origin=origin, secret=secret.hint)
        raise IntegrityViolationError("This secret can't be decrypted.") from error
