"""The database, whichever it is: reachable, migrated, writable, guarded, and written with these key rings."""

from collections.abc import Iterator

from django.core.checks import run_checks
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db import Error as DatabaseError
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from audit import append_only_health
from credentials.runtime.database_writes import write_fault
from credentials.verified_cache import sqlite_triggers, trigger_health
from keyportal.doctor import postgresql, sqlite
from keyportal.doctor.configuration import of_check
from keyportal.doctor.findings import Finding, problem
from keyportal.errors.redacted_errors import in_short
from keyportal.models import TaskRun

AWAY = problem(
    "database_away",
    meaning="Without its database the portal answers 503 to everything.",
    advice="Check DATABASE_URL, the server's log, its firewall and its limit of connections. Look the SQLSTATE up in "
    "PostgreSQL's appendix A; without one, no connection was made.",
)
NOT_MIGRATED = problem(
    "not_migrated",
    meaning="The database is not the one that this release needs, so it is not ready.",
    advice="Run `python manage.py migrate`.",
)
NO_WRITES = problem(
    "no_writes",
    meaning="Verdicts go on, but nobody can log in, and no key can be changed or revoked.",
    advice="Free space on the database's disk, or name the primary in DATABASE_URL, not a standby.",
)
NO_TRIGGERS = problem(
    "change_triggers",
    meaning="Workers or verifiers don't hear of changes: every request queries the database.",
    advice="Run `python manage.py createtriggers`.",
)
NOT_APPEND_ONLY = problem(
    "trail_unguarded",
    meaning="Events of the audit trail can be changed or removed.",
    advice="Run `python manage.py createtriggers`, remove by hand what was added, and run `verifyaudit`.",
)


def examine() -> Iterator[Finding]:
    """Yield what is wrong with the database. Later questions need what earlier ones have found to be well."""
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        connection.ensure_connection()
        if _is_behind():
            yield NOT_MIGRATED.found("Migrations are not applied.")
            return
        yield from map(of_check, run_checks(tags=["database"], databases=[DEFAULT_DB_ALIAS]))
        yield from _guards()
        yield from postgresql.examine() if connection.vendor == "postgresql" else sqlite.examine()
    except DatabaseError as error:
        yield AWAY.found(f"The database can't be queried: {in_short(error)}.")
        return
    yield from _writes()


def _is_behind() -> bool:
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _guards() -> Iterator[Finding]:
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor:
        of_changes = trigger_health if connection.vendor == "postgresql" else sqlite_triggers
        for fault in of_changes.faults(cursor):
            yield NO_TRIGGERS.found(f"Changes are not announced: {fault}.")
    for fault in append_only_health.faults(connection):
        yield NOT_APPEND_ONLY.found(f"The trail is not protected: {fault}.")


def _writes() -> Iterator[Finding]:
    """Write a row, and take it back. A disk that is full says so before the end of the transaction, mostly."""
    try:
        with transaction.atomic():
            TaskRun.objects.update_or_create(task="doctor", defaults={"started_at": timezone.now(), "by": "doctor"})
            transaction.set_rollback(True)
    except DatabaseError as error:
        yield NO_WRITES.found(f"The database takes no writes: {write_fault(error) or in_short(error)}.")
