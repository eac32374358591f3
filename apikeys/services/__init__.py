"""The services of keys, which alone write them. Each is one transaction and writes one audit event."""

from apikeys.services.creation import create_key
from apikeys.services.editing import edit_key, set_rate_limit
from apikeys.services.revealing import reveal
from apikeys.services.revocation import revoke

__all__ = ["create_key", "edit_key", "reveal", "revoke", "set_rate_limit"]
