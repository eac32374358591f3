"""The verbs of signed tokens, and the only place that writes their tables. Each is one transaction and one event."""

from tokens.services.audiences import add_audience, change_audience, remove_audience
from tokens.services.ending import end_family, revoke_token
from tokens.services.tokens import (
    PORTAL_CLIENT,
    TokenResponse,
    issue_to_key,
    issue_to_user,
    redeemable,
    refresh,
)
from tokens.services.trial import issue_to_try

__all__ = [
    "PORTAL_CLIENT",
    "TokenResponse",
    "add_audience",
    "change_audience",
    "end_family",
    "issue_to_key",
    "issue_to_try",
    "issue_to_user",
    "redeemable",
    "refresh",
    "remove_audience",
    "revoke_token",
]
