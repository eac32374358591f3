"""Connections of the listener's own, and whether changes can be heard over one."""

import contextlib
import os
import socket
from typing import Any, Final

import psycopg
from django.conf import settings
from django.db import connections

OURS: Final = (
    "cursor_factory", "context", "prepare_threshold", "server_side_binding", "assume_role", "isolation_level",
)  # fmt: skip
"""What Django's parameters hold that psycopg's `connect` is not to be given."""


class UnsuitableError(Exception):
    """Over this connection not everything would be heard. Says why, in a sentence for the log."""


def way_of_notices() -> dict[str, Any]:
    """Return psycopg's own parameters of the portal's database, by the way on which notices come."""
    if not settings.KEYPORTAL_LISTEN_URL:
        return way_of_requests()
    known = connections["default"].get_connection_params()
    waits = ("connect_timeout", "tcp_user_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count")
    return {"conninfo": settings.KEYPORTAL_LISTEN_URL, **{name: known[name] for name in waits if name in known}}


def way_of_requests() -> dict[str, Any]:
    """Return psycopg's own parameters of the portal's database, by the way on which requests ask."""
    return {name: value for name, value in connections["default"].get_connection_params().items() if name not in OURS}


def refuse_pooler(connection: psycopg.Connection[Any]) -> None:
    """Raise `UnsuitableError` if the backend is not the one that the connection was made to.

    A pooler such as PgBouncer gives its clients ids of its own. One that pools by transaction passes the answer to a
    heartbeat on and loses the notices that come between: the lease would be renewed, and a revocation not heard.
    """
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    if row != (connection.info.backend_pid,):
        raise UnsuitableError("a connection pooler stands before the database; KEYPORTAL_LISTEN_URL can lead past it")


def break_off(connection: psycopg.Connection[Any]) -> None:
    """Break a connection at whose end another thread waits: that thread finds it closed by the server."""
    with contextlib.suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
