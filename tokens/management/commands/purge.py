"""`purge`: delete what nobody can need any more."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tokens.housekeeping import BATCH, purge


class Command(BaseCommand):
    """For cron (deploy/): expired revocations, refresh tokens, log-ins, counted attempts and sessions."""

    help = "Delete expired rows in batches, beside traffic; says how many."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the size of a batch."""
        parser.add_argument("--batch", type=int, default=BATCH, help=f"rows in one statement, at most {BATCH}")

    def handle(self, *args: Any, **options: Any) -> None:
        """Purge, and print a line for each kind of row. Raises `CommandError` for a batch out of bounds."""
        if not 1 <= options["batch"] <= BATCH:
            raise CommandError(f"A batch is 1 to {BATCH} rows.")
        for name, removed in purge(by="command", batch=options["batch"]).items():
            self.stdout.write(f"{name}: {removed} removed")
