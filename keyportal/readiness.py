"""Why the portal is not ready for traffic: database, migrations, key rings, and whether changes are detected."""

from collections.abc import Iterator

from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseError
from django.db.migrations.executor import MigrationExecutor

from credentials.verified_cache import sqlite_triggers, trigger_health
from credentials.verified_cache.database_log import UnusableFileError
from credentials.verified_cache.freshness import freshness
from integrity.key_check import confirm_rings
from keyportal.errors.redacted_errors import reason_of
from vault.errors import VaultError

_migrated: set[int] = set()


def faults() -> list[str]:
    """Return a sentence for each fault; none if the portal is ready. The log names the same reasons."""
    try:
        freshness().open_current()
        if not _is_migrated():
            return ["migrations are not applied"]
        confirm_rings()
        return list(_change_faults())
    except DatabaseError as error:
        if isinstance(error, UnusableFileError):
            return [str(error)]
        return [f"the database can't be reached: {reason_of(error)}"]
    except VaultError as misfit:
        return [str(misfit)]


def _is_migrated() -> bool:
    # Reading every migration takes a while and probes ask every second, so the result is cached for this database.
    if freshness().database_number not in _migrated:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
        _migrated.add(freshness().database_number)
    return True


def _change_faults() -> Iterator[str]:
    """Yield why changes are not detected, or why verifiers in other processes don't hear of them."""
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            yield from (f"changes can't be detected: {fault}" for fault in trigger_health.faults(cursor))
        else:
            yield from (f"verifiers can't follow changes: {fault}" for fault in sqlite_triggers.faults(cursor))
    if freshness().fault:
        yield f"changes can't be detected: {freshness().fault}"
