"""`pausekey KEY_ID --reason R [--until END]`: an operator has a key refused for now."""

from argparse import ArgumentParser
from typing import Any

from typing_extensions import override

from accounts.times import in_words
from apikeys import services
from apikeys.end_text import EXPECTED
from apikeys.management.key_command import KeyCommand, read_end
from apikeys.models import APIKey
from apikeys.names import clean_reason
from audit.origin import Origin


class Command(KeyCommand):
    """Pause one key. Its owner and its clients see the reason, and only an operator can resume it."""

    help = "Pause a key until an operator resumes it, or until an end."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--reason", required=True)
        parser.add_argument("--until", metavar="END", help=EXPECTED)

    @override
    def act(self, key: APIKey, options: dict[str, Any]) -> None:
        """Pause the key, also if its owner has paused it, and print whether that changed anything."""
        reason = clean_reason(options["reason"], needed=True)
        until = read_end("--until", options["until"]) if options["until"] is not None else None
        origin = Origin.of_command("pausekey")
        if services.pause(key=key, reason=reason, until=until, by_operator=True, origin=origin):
            key.refresh_from_db(fields=["paused_until"])  # the owner's pause may end later
            ends = in_words(key.paused_until) if key.paused_until else "an operator resumes it"
            self.stdout.write(f"{key.pk} is paused until {ends}.")
        else:
            self.stdout.write(f"{key.pk} was already paused by an operator, and stays as it was.")
