"""The models of users, mailed links, pending messages and the audit trail."""

from accounts.models.kept import AttemptWindow, CacheEntry, RingCanary
from accounts.models.messages import PendingMessage, new_message_id
from accounts.models.trail import AuditCheckpoint, AuditEvent, AuditState
from accounts.models.users import MailedLink, User, UserManager, new_user_id

__all__ = [
    "AttemptWindow",
    "AuditCheckpoint",
    "AuditEvent",
    "AuditState",
    "CacheEntry",
    "MailedLink",
    "PendingMessage",
    "RingCanary",
    "User",
    "UserManager",
    "new_message_id",
    "new_user_id",
]
