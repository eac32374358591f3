"""The verbs of signed tokens: the only place that writes their tables. Each is one transaction and one audit event."""

from tokens.services.tokens import (
    PORTAL_CLIENT,
    Issued,
    end_family,
    issue_to_key,
    issue_to_user,
    redeemable,
    refresh,
    revoke_token,
)

__all__ = [
    "PORTAL_CLIENT",
    "Issued",
    "end_family",
    "issue_to_key",
    "issue_to_user",
    "redeemable",
    "refresh",
    "revoke_token",
]
