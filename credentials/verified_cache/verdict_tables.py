"""The tables that verdicts depend on, and how the triggers name what has changed.

This is the only declaration: the triggers of PostgreSQL (`triggers.py`) and SQLite (`sqlite_triggers.py`) are made from
it, and a test compares it with what verdicts read.
"""

from dataclasses import dataclass
from typing import Final

EVERYTHING: Final = "*"
"""The tag of a change that affects every verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictTable:
    """A table that verdicts depend on, and what to announce of it."""

    table: str
    kind: str = ""
    """The kind of the tag: `key`, `user` or `token`; empty if a change of any row affects every verdict."""
    column: str = "id"
    """The column with the id for the tag."""
    ignored: tuple[str, ...] = ()
    """Columns that change often and that no verdict reads. All others are announced, new ones too."""
    events: tuple[str, ...] = ("UPDATE", "DELETE")


VERDICT_TABLES: Final = (
    VerdictTable(table="accounts_user", kind="user", ignored=("last_login",)),
    VerdictTable(table="apikeys_apikey", kind="key", ignored=("notice_at",)),
    VerdictTable(table="apikeys_keysecret", kind="key", column="key_id", ignored=("notice_at",)),
    VerdictTable(table="credentials_scope", events=("INSERT", "UPDATE", "DELETE")),
    # No DELETE: a revoked token is never cached, so the purge need not announce a million rows.
    VerdictTable(table="tokens_revokedtoken", kind="token", column="token_id", events=("INSERT", "UPDATE")),
    VerdictTable(table="tokens_tokenfamily", kind="token", ignored=("refreshed_at",)),
)
"""To let verdicts depend on another table, add it here, and add a migration with `create_triggers`."""
