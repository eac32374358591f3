"""Parameters for the listener's own connections, and the check that notifications arrive over one."""

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
"""Django's connection parameters that psycopg's `connect` must not be given."""


class UnsuitableError(Exception):
    """Some notifications would be lost on this connection. The message says why, for the log."""


def listen_parameters() -> dict[str, Any]:
    """Return psycopg's parameters for the connection that listens: KEYPORTAL_LISTEN_URL if set, else as requests."""
    if not settings.KEYPORTAL_LISTEN_URL:
        return request_parameters()
    known = connections["default"].get_connection_params()
    waits = ("connect_timeout", "tcp_user_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count")
    return {"conninfo": settings.KEYPORTAL_LISTEN_URL, **{name: known[name] for name in waits if name in known}}


def request_parameters() -> dict[str, Any]:
    """Return psycopg's parameters for the portal's database, as requests connect to it."""
    return {name: value for name, value in connections["default"].get_connection_params().items() if name not in OURS}


def refuse_pooler(connection: psycopg.Connection[Any]) -> None:
    """Raise `UnsuitableError` if a pooler stands between this connection and its backend.

    A pooler such as PgBouncer gives its clients backend ids of its own. In transaction pooling it passes on the answer
    to a heartbeat but loses notifications in between: the lease would be renewed although a revocation was lost.
    """
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    if row != (connection.info.backend_pid,):
        raise UnsuitableError("the database is behind a connection pooler; use KEYPORTAL_LISTEN_URL to bypass it")


def abort(connection: psycopg.Connection[Any]) -> None:
    """Shut down a connection on which another thread waits. That thread finds it closed, as if by the server."""
    with contextlib.suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
