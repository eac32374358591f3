"""The services of keys, which alone write them. Each is one transaction and writes one audit event."""

from apikeys.services.bulk_revocation import BulkRevocation, revoke_batch
from apikeys.services.creation import create_key
from apikeys.services.editing import edit_key, set_rate_limit
from apikeys.services.pausing import pause, resume
from apikeys.services.policies import set_policy
from apikeys.services.revealing import reveal
from apikeys.services.revocation import revoke
from apikeys.services.rotation import end_overlap, rotate

__all__ = [
    "BulkRevocation",
    "create_key",
    "edit_key",
    "end_overlap",
    "pause",
    "resume",
    "reveal",
    "revoke",
    "revoke_batch",
    "rotate",
    "set_policy",
    "set_rate_limit",
]
