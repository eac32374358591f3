"""PostgreSQL: its version, its settings, the portal's role, how it is reached, and its clock."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import date, datetime, timedelta
from typing import Any, Final

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import timezone

from credentials.verified_cache.connections import UnsuitableError, listen_parameters, refuse_pooler
from credentials.verified_cache.database_identity import identity_of, leads_to
from keyportal.doctor.findings import Finding, problem, warning
from keyportal.doctor.nearness import is_on_this_host
from keyportal.errors.redacted_errors import in_short

OLDEST: Final = 15
SUPPORTED_UNTIL: Final = {
    15: date(2027, 11, 11),
    16: date(2028, 11, 9),
    17: date(2029, 11, 8),
    18: date(2030, 11, 14),
}
"""When PostgreSQL's project ends its support (https://www.postgresql.org/support/versioning/)."""
OTHERS_A_WORKER: Final = 3
"""Connections of a worker beside its threads': one that listens, one for usage, one for messages."""
CLOCKS_DIFFER: Final = timedelta(seconds=2)
UNSAFE: Final = {
    "fsync": ("off", "A power failure can destroy the database."),
    "full_page_writes": ("off", "A power failure can destroy the database."),
    "synchronous_commit": ("off", "A revocation that was answered can be lost when the server fails."),
    "autovacuum": ("off", "Tables grow without end, and queries get slow."),
}
"""For each setting of the server: its dangerous value, and what that means."""

TOO_OLD = problem(
    "postgresql_too_old",
    meaning="The portal is made for PostgreSQL 15 or later, and tested with it.",
    advice="Upgrade the server.",
)
UNSUPPORTED = warning(
    "postgresql_unsupported",
    meaning="It gets no fixes for security any more.",
    advice="Upgrade the server.",
)
FEW_CONNECTIONS = warning(
    "postgresql_connections",
    meaning="Under load some threads get no connection, and requests get 503. Other hosts and commands need some, too.",
    advice="Raise max_connections, lower the number of workers or threads, or put PgBouncer in between and set "
    "KEYPORTAL_LISTEN_URL (docs/scaling.md has the sum).",
)
SUPERUSER = warning(
    "postgresql_superuser",
    meaning="Whoever takes over the portal takes over the whole server, and the trail's protection does not bind it.",
    advice="Give the portal a role of its own that owns only its database.",
)
IN_CLEAR = problem(
    "postgresql_in_clear",
    meaning="Passwords' hashes, sealed secrets and the log-in to the database can be read on the way.",
    advice="Add sslmode=verify-full (and sslrootcert) to DATABASE_URL.",
)
ENCODING = problem(
    "postgresql_encoding",
    meaning="Names in other scripts can't be stored, and sort and compare differently.",
    advice="Create the database with ENCODING 'UTF8', and restore into it.",
)
SETTING = warning(
    "postgresql_setting",
    meaning="This setting of the server trades safety for speed.",
    advice="Set it back to its default in the server's configuration.",
)
NOT_HEARD = problem(
    "changes_not_heard",
    meaning="Workers don't hear of changes, so every request queries the database.",
    advice="Let KEYPORTAL_LISTEN_URL name the same database as DATABASE_URL, past any pooler.",
)
CLOCK = warning(
    "clock_of_database",
    meaning="Expiries, overlaps and tokens end at another moment on this host than elsewhere.",
    advice="Keep the clocks of all hosts in step with NTP.",
)


def examine() -> Iterator[Finding]:
    """Yield what is wrong with the server and the way to it. Raises `django.db.Error`."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        asked_at = timezone.now()
        cursor.execute(
            "SELECT clock_timestamp(), current_setting('server_version_num')::int, current_setting('server_encoding'), "
            "current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int, "
            "current_setting('is_superuser'), (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())"
        )
        now, version, encoding, room, is_superuser, is_encrypted = cursor.fetchone()
        names = tuple(UNSAFE)
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY (%s)", [list(names)])
        server = dict(cursor.fetchall())
    yield from _version(version // 10000)
    yield from _clock(now, asked_at)
    yield from _settings(server)
    if encoding != "UTF8":
        yield ENCODING.found("The database's encoding is not UTF8.")
    if is_superuser == "on":
        yield SUPERUSER.found("The portal's role is a superuser.")
    if not is_encrypted and not _is_near(connections[DEFAULT_DB_ALIAS].settings_dict):
        yield IN_CLEAR.found("The connection to PostgreSQL is not encrypted, and leads to another host.")
    needed = _connections_of_this_host()
    if needed > room:
        yield FEW_CONNECTIONS.found(f"This host's workers need {needed} connections, and the server allows {room}.")
    yield from _listening()


def _version(major: int) -> Iterator[Finding]:
    if major < OLDEST:
        yield TOO_OLD.found(f"PostgreSQL is version {major}.")
    elif SUPPORTED_UNTIL.get(major, date.max) < timezone.now().date():
        yield UNSUPPORTED.found(f"PostgreSQL is version {major}, whose support ended on {SUPPORTED_UNTIL[major]}.")


def _clock(there: datetime, asked_at: datetime) -> Iterator[Finding]:
    here = asked_at + (timezone.now() - asked_at) / 2
    difference = there - here
    if abs(difference) > CLOCKS_DIFFER + (timezone.now() - asked_at):
        ahead = "behind" if difference > timedelta() else "ahead of"
        seconds = abs(difference).total_seconds()
        yield CLOCK.found(f"This host's clock is {seconds:.0f} seconds {ahead} the database's.")


def _settings(server: Mapping[str, str]) -> Iterator[Finding]:
    for name, (dangerous, meaning) in UNSAFE.items():
        if server.get(name) == dangerous:
            yield SETTING.found(f"{name} is {dangerous}. {meaning}")


def _connections_of_this_host() -> int:
    threads = settings.KEYPORTAL_VERDICT_THREADS + settings.KEYPORTAL_REQUEST_THREADS
    return int(settings.KEYPORTAL_WORKERS * (threads + OTHERS_A_WORKER))


def _is_near(entry: Mapping[str, Any]) -> bool:
    """Return whether the database is reached over a Unix socket, or over the loopback interface."""
    return all(map(is_on_this_host, str(entry["HOST"]).split(",")))


def _listening() -> Iterator[Finding]:
    """Connect as the listener of a worker does."""
    try:
        with closing(psycopg.connect(**listen_parameters(), autocommit=True)) as line:
            refuse_pooler(line)
            with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
                identity = identity_of(cursor)
            if not leads_to(line, identity):
                yield NOT_HEARD.found("KEYPORTAL_LISTEN_URL and DATABASE_URL lead to different databases.")
    except UnsuitableError as error:
        yield NOT_HEARD.found(f"Notifications would be lost: {error}.")
    except psycopg.Error as error:
        yield NOT_HEARD.found(f"The connection that listens can't be made: {in_short(error)}.")
