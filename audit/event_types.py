"""The types of audit events: what each is called in the database, its sentence on pages, and who gets an e-mail."""

from enum import Enum, StrEnum
from typing import Self


class Notifies(Enum):
    """Who gets an e-mail about an event. Of many in a short time, one says how many there were."""

    NONE = "no one"
    OWNER = "the owner of the account or key, always"
    OWNER_IF_NEW_DEVICE = "the owner of the account, if the device is new and they did not switch the message off"
    OWNER_IF_WANTED = "the owner of the account or key, unless they did it themselves and switched the message off"
    OWNER_IF_WIDER = "the owner of the key, if it may do more than before"


class EventType(StrEnum):
    """Everything that the trail records. The value is stored in the `verb` column."""

    sentence: str
    notifies: Notifies

    def __new__(cls, value: str, sentence: str, notifies: Notifies = Notifies.NONE) -> Self:
        """Return a member; it equals its value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        member.notifies = notifies
        return member

    @classmethod
    def of(cls, verb: str) -> Self:
        """Return the type with this value. Raises ValueError."""
        return cls(verb)  # type: ignore[call-arg]  # looks the member up

    ACCESS_DENIED = "access_denied", "Access denied"
    ACCOUNT_CLOSED = "account_closed", "Account closed"
    ACTION_REFUSED = "action_refused", "Operator's action refused"
    APP_LOGGED_IN = "app_logged_in", "An app logged in", Notifies.OWNER_IF_NEW_DEVICE
    AUDIENCE_ADDED = "audience_added", "Audience added"
    AUDIENCE_CHANGED = "audience_changed", "Audience description changed"
    AUDIENCE_REMOVED = "audience_removed", "Audience removed"
    BROWSER_UNLOCKED = "browser_unlocked", "New browser allowed by an e-mailed link"
    CLIENT_FAILED = "client_failed", "OAuth client refused"
    CREDENTIAL_LOOKED_UP = "credential_looked_up", "Credential looked up"
    EMAIL_CHANGE_CANCELLED = "email_change_cancelled", "E-mail address change cancelled"
    EMAIL_CHANGE_REQUESTED = "email_change_requested", "E-mail address change requested", Notifies.OWNER
    EMAIL_CHANGE_UNDONE = "email_change_undone", "E-mail address change undone", Notifies.OWNER
    EMAIL_CHANGED = "email_changed", "E-mail address changed", Notifies.OWNER
    EMAIL_CONFIRM = "email_confirm", "E-mail address confirmed", Notifies.OWNER
    EMAIL_CONFIRMED = "email_confirmed", "E-mail address confirmed"
    EMAIL_DELETED = "email_deleted", "E-mail address removed", Notifies.OWNER
    EMAIL_PREFERENCES_CHANGED = "email_preferences_changed", "E-mail preferences changed"
    EMAIL_RELEASED = "email_released", "E-mail address released to the account that confirmed it", Notifies.OWNER
    EMAIL_UNCONFIRMED = "email_unconfirmed", "E-mail confirmation revoked"
    EVENTS_REMOVED = "events_removed", "Old audit events removed"
    KEY_CREATED = "key_created", "Key created", Notifies.OWNER_IF_WANTED
    KEY_EDITED = "key_edited", "Key changed", Notifies.OWNER_IF_WIDER
    KEY_LIMITED = "key_limited", "Key rate limit set", Notifies.OWNER_IF_WIDER
    KEY_PAUSED = "key_paused", "Key paused", Notifies.OWNER_IF_WANTED
    KEY_RESUMED = "key_resumed", "Key resumed", Notifies.OWNER_IF_WANTED
    KEY_REVEALED = "key_revealed", "Secret revealed", Notifies.OWNER
    KEY_REVOKED = "key_revoked", "Key revoked", Notifies.OWNER_IF_WANTED
    KEY_ROTATED = "key_rotated", "Key rotated", Notifies.OWNER_IF_WANTED
    LOGGED_IN = "logged_in", "Logged in", Notifies.OWNER_IF_NEW_DEVICE
    LOGGED_OUT = "logged_out", "Logged out"
    LOGIN_FAILED = "login_failed", "Log-in failed"
    OVERLAP_ENDED = "overlap_ended", "Overlap ended: the former secret is refused"
    PASSWORD_CHANGED = "password_changed", "Password changed", Notifies.OWNER
    PASSWORD_RESET = "password_reset", "Password changed", Notifies.OWNER
    PASSWORD_SET = "password_set", "Password changed", Notifies.OWNER
    POLICY_CHANGED = "policy_changed", "Key policy changed"
    RECOVERY_CODES_GENERATED = "recovery_codes_generated", "New recovery codes generated", Notifies.OWNER
    REFRESH_REUSE = "refresh_reuse", "Signed-in app ended: a refresh token was used twice"
    REVEAL_FAILED = "reveal_failed", "Secret not shown: it was changed outside the portal"
    RING_KEY_FORGOTTEN = "ring_key_forgotten", "Ring key forgotten: no row needs it any more"
    SCOPE_ADDED = "scope_added", "Scope added to the catalogue"
    SCOPE_CHANGED = "scope_changed", "Scope changed in the catalogue"
    SCOPE_REMOVED = "scope_removed", "Scope removed from the catalogue"
    SECOND_FACTOR_FAILED = "second_factor_failed", "Wrong second factor"
    SECOND_FACTOR_REFUSED = "second_factor_refused", "Wrong code for a new authenticator app"
    SECRET_REPEATED = "secret_repeated", "Secret answered again, to a repeated call"
    SESSION_ENDED = "session_ended", "Session ended"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere", "Signed out everywhere else"
    SIGNED_UP = "signed_up", "Signed up", Notifies.OWNER
    TOKEN_ISSUED = "token_issued", "Token issued"
    TOKEN_REFRESHED = "token_refreshed", "Token refreshed"
    TOKEN_REVOKED = "token_revoked", "Token ended"
    TOKENS_ENDED = "tokens_ended", "All signed-in apps ended"
    TOKENS_REVOKED = "tokens_revoked", "Signed-in app ended"
    TOTP_ACTIVATED = "totp_activated", "Authenticator app added", Notifies.OWNER
    TOTP_DEACTIVATED = "totp_deactivated", "Authenticator app removed", Notifies.OWNER
    USER_CREATED = "user_created", "Account created"
    USER_DEACTIVATED = "user_deactivated", "Account deactivated"
    USER_REACTIVATED = "user_reactivated", "Account reactivated"
    WEBAUTHN_ADDED = "webauthn_added", "Passkey added", Notifies.OWNER
    WEBAUTHN_REMOVED = "webauthn_removed", "Passkey removed", Notifies.OWNER


def sentence_of(verb: str) -> str:
    """Return the sentence of a stored verb; for one that this release does not know, the verb in readable form."""
    try:
        return EventType.of(verb).sentence
    except ValueError:
        return verb.replace("_", " ").capitalize()
