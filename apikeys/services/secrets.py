"""Give a key a secret."""

from django.conf import settings

from apikeys.models import APIKey, KeyPolicy, KeySecret
from integrity.key_check import index_key_to_write
from integrity.sealing import seal_value
from vault.digests import index_digest
from vault.secret_format import hint, new_secret


def add_secret(key: APIKey, policy: KeyPolicy, *, show_once: bool) -> str:
    """Add a fresh secret to a key and return it. Its ciphertext is kept only if it may be shown again."""
    text = new_secret(settings.KEYPORTAL_BRAND, key.environment)
    index_key = index_key_to_write()
    row = KeySecret(key=key, index_key_id=index_key.id, hint=hint(text))
    row.digest = index_digest(index_key, text)
    if not show_once and may_reveal(policy):
        row.ciphertext = seal_value(text, row.sealing_context(key))
    row.seal = row.make_seal()
    row.save(force_insert=True)
    return text


def may_reveal(policy: KeyPolicy) -> bool:
    """Return whether the portal and the policy allow secrets to be shown again."""
    return settings.KEYPORTAL_REVEAL == "reauth" and policy.allows_reveal
