"""`newcredentials off|on|status`: an operator suspends the issuing of credentials, or resumes it."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from accounts.errors import SuspensionEndError
from accounts.issuing import current_suspension
from accounts.names import printable
from accounts.services import resume_issuing, suspend_issuing
from accounts.times import in_words
from apikeys.end_text import EXPECTED
from apikeys.management.key_command import read_end
from apikeys.names import clean_reason
from audit.origin import Origin


class Command(BaseCommand):
    """Suspend and resume. What exists goes on: verdicts, log-ins to pages, pausing, revoking."""

    help = (
        "off: issue no new accounts, keys, secrets and tokens. on: issue them again. status: say which, with exit "
        "status 0 while they are issued and 1 while they are not."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=("off", "on", "status"))
        parser.add_argument("--reason", help="with off: why; everyone can read it, also visitors who are not logged in")
        parser.add_argument("--until", metavar="END", help=f"with off: {EXPECTED}; by default until it is switched on")
        parser.add_argument(
            "--allow-rotation", action="store_true", help="with off: secrets of existing keys can still be replaced"
        )

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Act, and print what holds now. Raises `CommandError` for an option that is missing, wrong or without use."""
        given = [name for name in ("reason", "until", "allow_rotation") if options[name]]
        if options["what"] != "off" and given:
            raise CommandError("--reason, --until and --allow-rotation go with off.")
        try:
            getattr(self, f"_{options['what']}")(options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except SuspensionEndError as error:
            raise CommandError(str(error)) from error

    def _off(self, options: dict[str, Any]) -> None:
        reason = clean_reason(options["reason"] or "", needed=True)
        until = read_end("--until", options["until"]) if options["until"] is not None else None
        origin = Origin.of_command("newcredentials")
        suspend_issuing(reason=reason, until=until, allows_rotation=options["allow_rotation"], origin=origin)
        self.stdout.write(self._sentence())

    def _on(self, options: dict[str, Any]) -> None:
        done = resume_issuing(origin=Origin.of_command("newcredentials"))
        self.stdout.write("New credentials are issued again." if done else "New credentials were not suspended.")

    def _status(self, options: dict[str, Any]) -> None:
        self.stdout.write(self._sentence())
        if current_suspension() is not None:
            raise SystemExit(1)

    def _sentence(self) -> str:
        suspension = current_suspension()
        if suspension is None:
            return "New credentials are issued."
        ends = in_words(suspension.until) if suspension.until else "an operator resumes it"
        rotation = "Keys can still be rotated." if suspension.allows_rotation else "Keys can't be rotated either."
        return f"New credentials are suspended until {ends}. {rotation} Reason: {printable(suspension.reason)}"
