"""The services of accounts, which alone write users. Each is one transaction and writes one audit event."""

from accounts.services.addresses import cancel_change, confirm_by_link, confirm_change, request_change, undo_change
from accounts.services.issuing import resume_issuing, suspend_issuing
from accounts.services.passwords import reset_password, set_password, unlock_browser
from accounts.services.preferences import set_email_preferences
from accounts.services.users import (
    confirm_user,
    create_user,
    deactivate_user,
    end_all_tokens,
    end_session,
    erase_user,
    reactivate_user,
    sign_out_everywhere,
    sign_up,
    unconfirm_user,
)

__all__ = [
    "cancel_change",
    "confirm_by_link",
    "confirm_change",
    "confirm_user",
    "create_user",
    "deactivate_user",
    "end_all_tokens",
    "end_session",
    "erase_user",
    "reactivate_user",
    "request_change",
    "reset_password",
    "resume_issuing",
    "set_email_preferences",
    "set_password",
    "sign_out_everywhere",
    "sign_up",
    "suspend_issuing",
    "unconfirm_user",
    "undo_change",
    "unlock_browser",
]
