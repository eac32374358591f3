"""The database that a connection leads to, and the tables in it.

A listener is notified only of changes in its own database. A thread's connection may lead elsewhere, for example if a
proxy sends new connections to a restored database, or if a search path finds copies of the tables. The listener would
not be notified of changes there.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from credentials.verified_cache.trigger_health import Cursor
from credentials.verified_cache.triggers import TABLES

_IDENTITY: Final = """
SELECT extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text,
    (SELECT oid::bigint FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()),
    ARRAY(
        SELECT to_regclass(name)::oid::bigint FROM unnest(%s::text[]) WITH ORDINALITY AS given(name, nth) ORDER BY nth
    )
"""


class DatabaseIdentity(NamedTuple):
    """What a connection leads to. Two connections with the same identity see each other's commits."""

    server: str
    """The server's start time in microseconds, which differs even for a copy or a replica of the server."""
    database: int
    tables: tuple[int | None, ...]
    """The tables' oids by the connection's search path, in the order of `TABLES`; None for one that is missing."""


def identity_of(cursor: Cursor) -> DatabaseIdentity:
    """Return the identity of what a connection leads to, even if tables are missing. Raises the driver's error."""
    cursor.execute(_IDENTITY, [TABLES])
    server, database, tables = cursor.fetchone()
    return DatabaseIdentity(server, database, tuple(tables))


def digest_of(identity: DatabaseIdentity, versions: Sequence[object]) -> str:
    """Return a short text that is the same for every worker as long as the order of changes means the same."""
    return hashlib.sha256(json.dumps([identity, versions]).encode()).hexdigest()[:16]


class ListenerDatabase(NamedTuple):
    """The database that the listener is connected to, or was last."""

    number: int
    """Incremented each time it may be another database."""
    identity: DatabaseIdentity | None
    """The identity of the database that its connection leads to; None while there is no listener."""


def leads_to(raw: Any, identity: DatabaseIdentity | None) -> bool:
    """Return whether psycopg's own connection leads to this database; True while none is known.

    Bypasses Django, because the query is not part of the request. Raises `psycopg.Error`.
    """
    return identity is None or identity_of(raw.cursor()) == identity
