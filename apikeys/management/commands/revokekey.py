"""`revokekey KEY_ID --reason R`: an operator ends a key for good."""

from argparse import ArgumentParser
from typing import Any

from typing_extensions import override

from apikeys import services
from apikeys.management.key_command import KeyCommand
from apikeys.models import APIKey
from apikeys.names import clean_reason
from audit.origin import Origin


class Command(KeyCommand):
    """Revoke one key. Its owner sees the reason."""

    help = "Revoke a key."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--reason", required=True)

    @override
    def act(self, key: APIKey, options: dict[str, Any]) -> None:
        """Revoke the key and print whether it was active."""
        reason = clean_reason(options["reason"], needed=True)
        done = services.revoke(key=key, reason=reason, origin=Origin.of_command("revokekey"))
        self.stdout.write(f"{key.pk} is revoked." if done else f"{key.pk} was already revoked.")
