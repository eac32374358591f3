"""The session engine (`SESSION_ENGINE`): a reader of the database can't use its rows, and a writer can't reuse them.

The cookie holds a random token; the database holds the token's digest as `session_key`. The session's content is signed
for this digest and is valid for its idle time only. So a row copied to another key, or one whose expiry was moved, is
an empty session.
"""

import base64
import hashlib
import logging
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.serializers import JSONSerializer
from django.core import signing
from django.db import DatabaseError
from django.utils.crypto import get_random_string
from typing_extensions import override

from integrity.key_check import RingMisfitError
from integrity.sealing import seal_value, unseal_value
from vault.errors import VaultError

logger = logging.getLogger(__name__)

STARTED: Final = "keyportal_started"
"""The session's member with the time of the log-in, in seconds since 1970."""
TOKEN_LENGTH: Final = 43  # 256 bits of [0-9A-Za-z]
DIGEST_LENGTH: Final = 40  # as many as fit the session_key column: 160 bits
SECRETS: Final = ("mfa.totp.secret", "_password_reset_key")
"""Members that django-allauth keeps in a session and that would let a reader of the database in. They are sealed."""


def session_digest(token: str) -> str:
    """Return the `session_key` for this cookie's token. A fast hash suffices for 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()[:DIGEST_LENGTH]


class SessionStore(DatabaseStore):
    """Django's database sessions, with a token for the browser that is never stored."""

    def __init__(self, session_key: str | None = None, *, token: str | None = None) -> None:
        super().__init__(session_digest(token) if token else session_key)
        self.token = token

    @classmethod
    def of_cookie(cls, token: str | None) -> "SessionStore":
        """Return the session that the cookie names; an empty one if there is no cookie."""
        return cls(token=token) if token else cls()

    @override
    def save(self, must_create: bool = False) -> None:
        """Write the session. Raises `UpdateError` if its row is gone, and database errors unchanged.

        Django treats any database error as a missing row, and answers 400 as if it were the browser's fault.
        """
        try:
            super().save(must_create)
        except UpdateError as error:
            cause = error.__context__
            if isinstance(cause, DatabaseError) and cause.__cause__ is not None:  # raised by the driver, not by Django
                raise cause from cause.__cause__
            raise

    @override
    def encode(self, session_dict: Mapping[str, Any]) -> str:
        """Return the stored form: the session's members as JSON, signed for this session with the current time."""
        context = self._context()
        members = dict(session_dict)
        for name in SECRETS:
            if name in members:
                sealed = seal_value(str(members[name]), [*context, name])
                members[name] = base64.b64encode(sealed).decode()
        return signing.dumps(members, salt=" ".join(context), serializer=JSONSerializer, compress=True)

    @override
    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        """Return the members that `encode` stored for this session within the idle time; otherwise an empty dict."""
        context, idle = self._context(), settings.SESSION_COOKIE_AGE
        if not isinstance(session_data, str):  # SQLite accepts any value in any column
            return {}
        try:
            members: dict[str, Any] = signing.loads(
                session_data, salt=" ".join(context), serializer=JSONSerializer, max_age=idle
            )
            for name in SECRETS:
                if name in members:
                    members[name] = unseal_value(base64.b64decode(members[name]), [*context, name])
        except signing.SignatureExpired:
            return {}
        except RingMisfitError:
            raise
        except (signing.BadSignature, VaultError, ValueError):
            logger.warning("integrity_violation: a session was not written for its row")
            return {}
        return members

    def _context(self) -> list[str]:
        return ["session", self.session_key or ""]

    @override
    def _get_new_session_key(self) -> str:  # type: ignore[misc]  # unknown to the stubs
        self.token = get_random_string(TOKEN_LENGTH)
        return session_digest(self.token)
