"""`findkey`: say whose secret this is."""

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apikeys.models import KeySecret
from vault.secret_format import is_well_formed


class Command(BaseCommand):
    """Reads a secret from standard input (never from the arguments, which everybody on the machine can see)."""

    help = "Say which key a secret belongs to, and whose it is."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print key id, state, environment, owner and name. Raises `CommandError` if no key has this secret."""
        text = sys.stdin.readline().strip()
        if not is_well_formed(settings.KEYPORTAL_BRAND, text):
            raise CommandError("This is not a secret of this portal: its prefix, length or checksum is wrong.")
        found = KeySecret.objects.holding(text).select_related("key__owner").first()
        if found is None:
            raise CommandError("It is well formed, but no key has this secret.")
        key = found.key
        self.stdout.write(f"{key.pk} {key.state} {key.environment} {key.owner.email} {key.name}")
