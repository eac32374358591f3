"""The models of users, mailed links, pending messages, attempt counts and cache entries."""

from accounts.models.attempts import AttemptWindow
from accounts.models.cache import CacheEntry
from accounts.models.messages import PendingMessage, new_message_id
from accounts.models.users import MailedLink, User, UserManager, new_user_id

__all__ = [
    "AttemptWindow",
    "CacheEntry",
    "MailedLink",
    "PendingMessage",
    "User",
    "UserManager",
    "new_message_id",
    "new_user_id",
]
