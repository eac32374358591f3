"""`migrate`: Django's command, of which one at a time works on a database."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from django.core.management.commands import migrate
from django.db import connections
from typing_extensions import override

LOCK: Final = 0x6B65_7970_6F72_7461
"""The number of the advisory lock: “keyporta” in ASCII."""


class Command(migrate.Command):
    """Django's command, for hosts that start at once: the first migrates, the others then find nothing to do."""

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate. Raises as Django's command does."""
        with _alone(options["database"]):
            super().handle(*args, **options)


@contextmanager
def _alone(alias: str) -> Iterator[None]:
    """Hold the database's lock. Another connection has it in one transaction, which a pooler can't divide."""
    if connections[alias].vendor != "postgresql":
        yield  # SQLite is on one host, and a second command ends with an error
        return
    with closing(connections[alias].copy()) as connection:
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        yield
