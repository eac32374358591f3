"""The models of users, mailed links, pending messages, e-mail preferences, attempt counts, cache, and issuing."""

from accounts.models.attempts import AttemptWindow
from accounts.models.cache import CacheEntry
from accounts.models.issuing import REASON_LENGTH, IssuingState
from accounts.models.messages import PendingMessage, new_message_id
from accounts.models.preferences import EmailPreference
from accounts.models.users import MailedLink, User, UserManager, new_user_id

__all__ = [
    "REASON_LENGTH",
    "AttemptWindow",
    "CacheEntry",
    "EmailPreference",
    "IssuingState",
    "MailedLink",
    "PendingMessage",
    "User",
    "UserManager",
    "new_message_id",
    "new_user_id",
]
