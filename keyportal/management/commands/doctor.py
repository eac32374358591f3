"""The command `doctor [ADDRESS]`, which looks at a deployment and says what to do."""

import contextlib
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
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
        site = _site(options) if options["address"] else None
        _limit_queries()
        found = examine_inside()
        if site is not None:
            found += examine_outside(site)
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


def _site(options: dict[str, Any]) -> Site:
    """Return the site to ask. Raises `CommandError` if there can be none at this address."""
    try:
        return Site(options["address"], authorities=options["ca"], plain_port=options["http_port"])
    except ValueError as error:
        raise CommandError("The address must be like https://portal.example.com.") from error
    except OSError as error:
        raise CommandError("The file of --ca can't be read, or holds no certificates.") from error


def _limit_queries() -> None:
    """Don't wait for a table that a migration or a session has locked."""
    if connection.vendor == "postgresql":
        with contextlib.suppress(DatabaseError), connection.cursor() as cursor:  # the examination says what is wrong
            cursor.execute("SET lock_timeout = '2s'; SET statement_timeout = '30s'")
