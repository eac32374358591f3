"""The command `doctor [ADDRESS]`, which looks at a deployment and says what to do."""

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand
from typing_extensions import override

from keyportal.doctor import mail, tasks
from keyportal.doctor.examination import examine_inside, examine_outside
from keyportal.doctor.findings import Finding, as_json, by_weight, summary, worst_status
from keyportal.doctor.outside.site import PLAIN_PORT, Site


class Command(BaseCommand):
    """A command for operators and for monitoring. It changes nothing, and sends a message only on request."""

    help = "Look at this deployment from inside and, given its address, from outside; say what it means and what to do."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django declares it so  # they are among the findings

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address", nargs="?", help="the public address, to look from outside as well")
        parser.add_argument("--ca", metavar="FILE", help="certificate authorities to trust, instead of the system's")
        parser.add_argument("--http-port", type=int, default=PLAIN_PORT, help="where plain http is answered")
        parser.add_argument("--mail", metavar="EMAIL", help="send a test message to this address")
        parser.add_argument("--audit", action="store_true", help="check the whole audit trail, which takes a while")
        parser.add_argument("--json", action="store_true", help="print JSON")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Print the findings, worst first. Exits with 0, 1 (warnings) or 2 (problems)."""
        found = examine_inside()
        if options["address"]:
            found += examine_outside(
                Site(options["address"], authorities=options["ca"], plain_port=options["http_port"])
            )
        if options["mail"]:
            found += mail.send(options["mail"])
        if options["audit"]:
            found += tasks.examine_whole_trail()
        if options["json"]:
            self.stdout.write(as_json(found))
        else:
            self._print(found)
        if status := worst_status(found):
            raise SystemExit(status)

    def _print(self, found: Sequence[Finding]) -> None:
        for finding in by_weight(found):
            self.stdout.write(f"{finding.level.upper()} {finding.code}: {finding.seen}")
            for text in filter(None, (finding.meaning, finding.advice)):
                self.stdout.write(f"    {text}")
        self.stdout.write(summary(found))
