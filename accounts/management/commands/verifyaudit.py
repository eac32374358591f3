"""`verifyaudit`: whether the audit trail is as the portal wrote it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.verify_trail import verify_trail


class Command(BaseCommand):
    """For operators and their cron jobs: exit status 1 and the ids where something does not fit."""

    help = "Check the seal of every event of the audit trail, and its chain."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was read and what does not fit. Raises `CommandError` if anything does not."""
        report = verify_trail()
        self.stdout.write(f"{report.events} events, {report.links} links")
        if report.head:
            self.stdout.write(f"head {report.head}")
        found = {
            "altered or forged": report.forged,
            "removed": report.removed,
            "links that do not fit": report.broken,
        }
        for name, ids in found.items():
            if ids.spans:
                self.stdout.write(f"{name}: {ids}")
        for fault in report.unguarded:
            self.stdout.write(fault)
        if not report.is_whole:
            raise CommandError("The audit trail is not as the portal wrote it.")
