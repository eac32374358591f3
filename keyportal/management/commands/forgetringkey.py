"""The command `forgetringkey sealing|index ID`, which lets the settings drop a key that no row needs any more."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from audit.origin import Origin
from keyportal.ring_keys import RingKeyInUseError, forget_ring_key


class Command(BaseCommand):
    """A command for the end of a rotation, and for a ring that was only tried."""

    help = "Forget a key of a ring that no row names, so that it can be removed from the settings."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ring", choices=["sealing", "index"])
        parser.add_argument("key_id", metavar="id")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Forget the key. Raises `CommandError` if it is needed."""
        ring, key_id = options["ring"], options["key_id"]
        try:
            forget_ring_key(ring=ring, key_id=key_id, origin=Origin.of_command("forgetringkey"))
        except RingKeyInUseError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Forgotten. Now remove it from KEYPORTAL_{ring.upper()}_KEYS on every host.")
