"""Which database, and which tables in it, a connection leads to.

A listener hears of the changes of its own. What a thread asks over a connection that leads to others is nothing that it
would hear of: a proxy that sends new connections to a restored database, a search path that finds a copy of the tables.
"""

from typing import Any, Final, NamedTuple

from credentials.trigger_health import Cursor
from credentials.triggers import TABLES

_PLACE: Final = """
SELECT extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text,
    (SELECT oid::bigint FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()),
    ARRAY(
        SELECT to_regclass(name)::oid::bigint FROM unnest(%s::text[]) WITH ORDINALITY AS given(name, nth) ORDER BY nth
    )
"""


class Place(NamedTuple):
    """Where a connection leads to. Two that lead to one place see one another's commits."""

    server: str
    """When it was started: no other one was at the same microsecond, neither a copy of it nor its replica."""
    database: int
    tables: tuple[int | None, ...]
    """Those that the connection's search path finds; None for one that it does not."""


def place_of(cursor: Cursor) -> Place:
    """Return where a connection leads to, tables that are missing included. Raises an error of the database."""
    cursor.execute(_PLACE, [TABLES])
    server, database, tables = cursor.fetchone()
    return Place(server, database, tuple(tables))


class Met(NamedTuple):
    """The database that was met last."""

    number: int
    """Each time it may be another one, the next one."""
    place: Place | None
    """Where the listener's connection leads to; None while nobody listens."""


def leads_to(raw: Any, place: Place | None) -> bool:
    """Return whether psycopg's own connection leads to this place; True while none is known.

    Asked past Django: it is no question of the request's. Raises `psycopg.Error`.
    """
    return place is None or place_of(raw.cursor()) == place
