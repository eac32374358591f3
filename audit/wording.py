"""The descriptions of audit events on pages."""

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, str]] = {
    "access_denied": "Access denied",
    "account_closed": "Account closed",
    "action_refused": "Operator's action refused",
    "audience_added": "Audience added",
    "audience_changed": "Audience description changed",
    "audience_removed": "Audience removed",
    "browser_unlocked": "New browser allowed by an e-mailed link",
    "client_failed": "OAuth client refused",
    "credential_looked_up": "Credential looked up",
    "email_change_cancelled": "E-mail address change cancelled",
    "email_change_requested": "E-mail address change requested",
    "email_change_undone": "E-mail address change undone",
    "email_changed": "E-mail address changed",
    "email_confirmed": "E-mail address confirmed",
    "email_released": "E-mail address released to the account that confirmed it",
    "email_unconfirmed": "E-mail confirmation revoked",
    "events_removed": "Old audit events removed",
    "key_created": "Key created",
    "key_edited": "Key changed",
    "key_limited": "Key rate limit set",
    "key_revealed": "Secret revealed",
    "key_revoked": "Key revoked",
    "logged_in": "Logged in",
    "logged_out": "Logged out",
    "login_failed": "Log-in failed",
    "password_changed": "Password changed",
    "password_reset": "Password changed",
    "password_set": "Password changed",
    "recovery_codes_generated": "New recovery codes generated",
    "refresh_reuse": "Signed-in app ended: a refresh token was used twice",
    "reveal_failed": "Secret not shown: it was changed outside the portal",
    "scope_added": "Scope added to the catalogue",
    "scope_changed": "Scope description changed",
    "scope_removed": "Scope removed from the catalogue",
    "second_factor_failed": "Wrong second factor",
    "second_factor_refused": "Wrong code for a new authenticator app",
    "session_ended": "Session ended",
    "signed_out_everywhere": "Signed out everywhere else",
    "signed_up": "Signed up",
    "token_issued": "Token issued",
    "token_refreshed": "Token refreshed",
    "token_revoked": "Token ended",
    "tokens_ended": "All signed-in apps ended",
    "tokens_revoked": "Signed-in app ended",
    "totp_activated": "Authenticator app added",
    "totp_deactivated": "Authenticator app removed",
    "user:token_issued": "An app logged in",
    "user_created": "Account created",
    "user_deactivated": "Account deactivated",
    "user_reactivated": "Account reactivated",
    "webauthn_added": "Passkey added",
    "webauthn_removed": "Passkey removed",
}


def words_for(verb: str, subject_type: str) -> str:
    """Return the description for a verb and subject type; for an unknown verb, the verb itself in readable form."""
    return WORDS.get(f"{subject_type}:{verb}") or WORDS.get(verb, verb.replace("_", " ").capitalize())
