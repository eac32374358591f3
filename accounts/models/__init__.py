"""The models of users, mailed links, pending messages, attempt counts and cache entries."""

from accounts.models.kept import AttemptWindow, CacheEntry
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
