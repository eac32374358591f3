"""`revokekey KEY_ID --reason R`: an operator ends a key for good."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from apikeys import services
from apikeys.models import APIKey
from apikeys.names import clean_reason
from audit.origin import Origin


class Command(BaseCommand):
    """Revoke one key. Its owner sees the reason."""

    help = "Revoke a key."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key_id")
        parser.add_argument("--reason", required=True)

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Revoke the key and print whether it was active. Raises `CommandError` for an unknown id or a bad reason."""
        try:
            reason = clean_reason(options["reason"], needed=True)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        key = APIKey.objects.filter(pk=options["key_id"]).first()
        if key is None:
            raise CommandError("There is no key with this id.")
        done = services.revoke(key=key, reason=reason, origin=Origin.of_command("revokekey"))
        self.stdout.write(f"{key.pk} is revoked." if done else f"{key.pk} was already revoked.")
