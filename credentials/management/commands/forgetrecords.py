"""`forgetrecords`: workers and verifiers ask about every credential anew."""

from typing import Any

from django.core.management.base import BaseCommand
from typing_extensions import override

from audit.origin import Origin
from credentials.forgetting import forget_records


class Command(BaseCommand):
    """A command to run after a signing key was dropped: verifiers may hold records of tokens that it signed."""

    help = "Have all workers and verifiers forget the records that they hold. No credential changes."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Announce it. Raises `django.db.Error`."""
        forget_records(origin=Origin.of_command("forgetrecords"))
        self.stdout.write("All workers and verifiers forget what they hold, within two seconds.")
