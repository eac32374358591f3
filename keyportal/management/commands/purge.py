"""`purge`: delete rows that are no longer needed."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from keyportal.purge import BATCH, purge


class Command(BaseCommand):
    """Delete expired revocations, refresh tokens, log-ins, attempts, sessions and more. For cron (deploy/)."""

    help = "Delete expired rows in batches while the portal serves traffic, and say how many."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--batch", type=int, default=BATCH, help=f"rows in one statement, at most {BATCH}")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Purge, and print the number of rows of each kind. Raises `CommandError` if the batch size is out of range."""
        if not 1 <= options["batch"] <= BATCH:
            raise CommandError(f"--batch takes 1 to {BATCH} rows.")
        for name, removed in purge(by="command", batch=options["batch"]).items():
            self.stdout.write(f"{name}: {removed} removed")
