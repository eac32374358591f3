"""The descriptions of audit events on pages."""

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, str]] = {
    "access_denied": "Access denied",
    "account_closed": "Account closed",
    "action_refused": "An operator's action was refused",
    "audience_added": "Audience added",
    "audience_changed": "Audience described anew",
    "audience_removed": "Audience removed",
    "browser_unlocked": "A new browser let in by a link",
    "client_failed": "OAuth client refused",
    "credential_looked_up": "Credential looked up",
    "email_change_cancelled": "Change of e-mail address cancelled",
    "email_change_requested": "Change of e-mail address requested",
    "email_change_undone": "Change of e-mail address undone",
    "email_changed": "E-mail address changed",
    "email_confirmed": "E-mail address confirmed",
    "email_released": "E-mail address given to who proved it",
    "email_unconfirmed": "E-mail confirmation taken back",
    "events_removed": "Old events of the trail removed",
    "key_created": "Key created",
    "key_edited": "Key changed",
    "key_limited": "Rate limit of a key set",
    "key_revealed": "Secret revealed",
    "key_revoked": "Key revoked",
    "logged_in": "Logged in",
    "logged_out": "Logged out",
    "login_failed": "Log-in failed",
    "password_changed": "Password changed",
    "password_reset": "Password changed",
    "password_set": "Password changed",
    "recovery_codes_generated": "New recovery codes made",
    "refresh_reuse": "Signed-in app ended: a refresh token was used twice",
    "reveal_failed": "Secret not shown: it was changed outside the portal",
    "scope_added": "Scope added to the catalogue",
    "scope_changed": "Scope described anew",
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
    "user_deactivated": "Account switched off",
    "user_reactivated": "Account switched on",
    "webauthn_added": "Passkey added",
    "webauthn_removed": "Passkey removed",
}


def words_for(verb: str, subject_type: str) -> str:
    """Return the description for a verb and subject type; for an unknown verb, the verb itself in readable form."""
    return WORDS.get(f"{subject_type}:{verb}") or WORDS.get(verb, verb.replace("_", " ").capitalize())
