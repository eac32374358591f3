"""Sessions whose cookie is worth nothing to whoever reads the database.

The cookie holds a random token; the database holds its digest under `session_key`. `SESSION_ENGINE` names this module.
"""

import hashlib

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils.crypto import get_random_string

STARTED = "keyportal_started"
"""The session's own note of when somebody logged in: seconds since the epoch."""
TOKEN_LENGTH = 43  # 256 bits of [0-9A-Za-z]
DIGEST_LENGTH = 40  # what fits the session_key column: 160 bits


def session_digest(token: str) -> str:
    """Give the key under which the session of this cookie is stored: a fast hash will do for 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()[:DIGEST_LENGTH]


class SessionStore(DatabaseStore):
    """Django's database sessions, except that only this object knows the token that the browser gets."""

    def __init__(self, session_key: str | None = None, *, token: str | None = None) -> None:
        super().__init__(session_digest(token) if token else session_key)
        self.token = token

    @classmethod
    def of_cookie(cls, token: str | None) -> "SessionStore":
        """Give the session that a cookie names; an empty one if there is no cookie."""
        return cls(token=token) if token else cls()

    def _get_new_session_key(self) -> str:
        self.token = get_random_string(TOKEN_LENGTH)
        return session_digest(self.token)
