"""The command `newkey sealing|index|signing`, which prints a fresh entry for a key ring."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from typing_extensions import override

from vault.rings import new_entry
from vault.signing_keys import KEY_TYPES, new_signing_jwk


class Command(BaseCommand):
    """A command that prints `id:base64` or a private JWK, and nothing else. The operator adds it to the ring."""

    help = "Print a fresh ring entry."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django declares it so  # the command must run while a ring is missing

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ring", choices=["sealing", "index", "signing"])
        parser.add_argument("--id", help="the entry's id; by default the ring's first letter and the time")
        parser.add_argument("--alg", choices=list(KEY_TYPES), default="ES256", help="algorithm of a signing key")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Print a fresh entry."""
        if options["ring"] == "signing":
            self.stdout.write(json.dumps(new_signing_jwk(options["alg"]), separators=(",", ":")))
            return
        key_id = options["id"] or f"{options['ring'][0]}{timezone.now():%Y%m%d%H%M}"
        self.stdout.write(new_entry(key_id))
