"""The models of users, mailed links, pending messages, e-mail preferences, attempt counts and cache entries."""

from accounts.models.attempts import AttemptWindow
from accounts.models.cache import CacheEntry
from accounts.models.messages import PendingMessage, new_message_id
from accounts.models.preferences import EmailPreference
from accounts.models.users import MailedLink, User, UserManager, new_user_id

__all__ = [
    "AttemptWindow",
    "CacheEntry",
    "EmailPreference",
    "MailedLink",
    "PendingMessage",
    "User",
    "UserManager",
    "new_message_id",
    "new_user_id",
]
