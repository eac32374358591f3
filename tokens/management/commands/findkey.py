"""`findkey`: say what a credential is and whose it is, and end it on request."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.views.decorators.debug import sensitive_variables
from typing_extensions import override

from accounts.names import printable
from apikeys.names import clean_reason
from audit.origin import Origin
from tokens.pasted import MAX_LENGTH
from tokens.search import Result, search
from tokens.search_actions import end
from tokens.traces import Finding


class Command(BaseCommand):
    """Read the credential from standard input, never from arguments, which every user of the machine can see.

    Anything copied along with the credential is ignored: quotes, `Bearer `, a whole curl line.
    """

    help = "Identify the credential on standard input, its owner and its state; with --end, end it."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--end", action="store_true", help="end what is found: the key, the log-in, or only the token"
        )
        parser.add_argument("--reason", default="", help="why; the owner sees it")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Print the findings, and end them on request. Raises `CommandError` if nothing was found or ended."""
        if bool(options["reason"]) is not options["end"]:
            raise CommandError("--end and --reason must be given together.")
        try:
            reason = clean_reason(options["reason"], needed=options["end"])
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        origin = Origin.of_command("findkey")
        result = search(_read(), origin=origin)
        for finding in result.findings:
            self._print(finding)
        if result.sentence or not result.findings:
            raise CommandError(result.sentence)
        if result.others:
            self.stderr.write("The input contains more than one credential. Only the first was looked up.")
        if options["end"]:
            self._end(result, reason, origin)

    def _print(self, finding: Finding) -> None:
        self.stdout.write(f"{finding.what}: {printable(finding.state.label)}")
        for fact in finding.facts:
            self.stdout.write(f"  {fact.label}: {printable(fact.text)}")

    def _end(self, result: Result, reason: str, origin: Origin) -> None:
        """End the only finding. Raises `CommandError` if it can't be ended or if there is more than one."""
        if result.others or len(result.findings) > 1:
            raise CommandError("Nothing was ended: give exactly one credential.")
        [finding] = result.findings
        if finding.target is None:
            raise CommandError("Nothing was ended: there is nothing to end, or it has already ended.")
        ended = end(finding.target, reason=reason, origin=origin)
        self.stdout.write(f"Ended: {finding.ending}." if ended else "It had already ended.")


@sensitive_variables()
def _read() -> str:
    """Return standard input up to `MAX_LENGTH` characters, or the one line that a person types at a terminal."""
    try:
        return sys.stdin.readline() if sys.stdin.isatty() else sys.stdin.read(MAX_LENGTH)
    except UnicodeDecodeError:
        raise CommandError("Standard input is not text in UTF-8.") from None  # the error would hold the bytes
