"""`createkey EMAIL --name N`: an operator creates a key for a developer."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from typing_extensions import override

from accounts.emails import normalize_email
from accounts.models import User
from apikeys import services
from apikeys.errors import APIKeyError
from apikeys.models import Environment
from apikeys.names import clean_name
from audit.origin import Origin


class Command(BaseCommand):
    """Create a key and print only its secret on standard output, so that it can be piped to where it belongs."""

    help = "Create a key and print its secret."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", required=True)
        parser.add_argument("--environment", choices=Environment.values, default=Environment.LIVE)
        parser.add_argument("--scope", action="append", default=[], metavar="SCOPE")
        parser.add_argument("--expires", metavar="DATE", help="2027-01-31 (to its end, UTC), or 2027-01-31T12:00:00Z")
        parser.add_argument("--restricted", action="store_true", help="allow scopes that only operators can grant")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Create the key. Raises `CommandError` with the reason if it can't."""
        owner = User.objects.filter(email=normalize_email(options["email"])).first()
        if owner is None:
            raise CommandError("No account has this address.")
        try:
            key, secret = services.create_key(
                owner=owner,
                name=clean_name(options["name"]),
                environment=options["environment"],
                scopes=options["scope"],
                expires_at=_read_time(options["expires"]),
                restricted=options["restricted"],
                origin=Origin.of_command("createkey"),
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except APIKeyError as error:
            raise CommandError(str(error)) from error
        self.stderr.write(key.pk)
        self.stdout.write(secret)


def _read_time(text: str | None) -> datetime | None:
    """Return the end of a date in UTC, or a time with its zone. Raises `ValidationError` if it is neither or past."""
    if text is None:
        return None
    try:
        day, at = parse_date(text), parse_datetime(text) if "T" in text else None
    except ValueError as error:
        raise ValidationError(f"--expires: {error}.") from error
    if at is None and day is not None:
        at = datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)
    if at is None or at.tzinfo is None:
        raise ValidationError("--expires takes 2027-01-31, or a time with its zone: 2027-01-31T12:00:00Z.")
    if at <= timezone.now():
        raise ValidationError("--expires is in the past.")
    return at
