"""The command `verifyaudit`, which checks whether the audit trail is as the portal wrote it."""

from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from audit.id_ranges import IdRanges
from audit.verify_trail import verify_trail

SHOWN: Final = 20
GAPS: Final = (
    "not a fault by itself: a transaction that was rolled back leaves one, and without a chain so does a purge"
)


class Command(BaseCommand):
    """A command for operators and cron jobs that prints the ids of faults, and exits with status 1 if there are any."""

    help = "Check the seal of every event in the audit trail, and the trail's chain."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was read and what does not fit. Raises `CommandError` if anything does not."""
        report = verify_trail()
        self.stdout.write(f"{report.events} events, {report.links} links")
        if report.head:
            self.stdout.write(f"head {report.head}")
        found = {
            "altered or forged": report.forged,
            "removed": report.removed,
            "links that do not match": report.broken,
            "in no link, though over an hour old": report.unchained,
        }
        for name, ids in found.items():
            if ids.spans:
                self.stdout.write(f"{name}: {ids}")
        for fault in report.unguarded:
            self.stdout.write(fault)
        if report.gaps.spans:
            self.stdout.write(f"ids without an event: {_first_ranges(report.gaps)} ({GAPS})")
        if not report.is_valid:
            raise CommandError("The audit trail is not as the portal wrote it.")


def _first_ranges(ids: IdRanges) -> str:
    more = len(ids.spans) - SHOWN
    return str(IdRanges(ids.spans[:SHOWN])) + (f" and {more} more ranges" if more > 0 else "")
