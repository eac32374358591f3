"""`rotatekey KEY_ID [--overlap 24h] [--reason R]`: an operator gives a key another secret."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from typing_extensions import override

from accounts.times import in_words
from apikeys import services
from apikeys.management.key_command import KeyCommand
from apikeys.models import APIKey, KeySecret
from apikeys.names import clean_reason
from apikeys.overlap_text import MAX_OVERLAP, parse_overlap
from audit.origin import Origin


class Command(KeyCommand):
    """Rotate one key and print only its new secret on standard output, so that it can be piped to where it belongs."""

    help = "Give a key another secret and print it."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--overlap", default="24h", help="how long the former secret works: 0, 90m, 24h (the default), 30d"
        )
        parser.add_argument("--reason", default="", help="kept in the key's history, which its owner sees")

    @override
    def act(self, key: APIKey, options: dict[str, Any]) -> None:
        """Rotate the key. What is said of it goes to standard error."""
        overlap, reason = _read_overlap(options["overlap"]), clean_reason(options["reason"])
        former = KeySecret.objects.filter(key=key, replaced_at=None).first()
        origin, replaces = Origin.of_command("rotatekey"), former.pk if former else ""
        _, secret = services.rotate(key=key, replaces=replaces, overlap=overlap, reason=reason, origin=origin)
        self.stderr.write(f"{key.pk} is rotated.")
        if former:
            self.stderr.write(_what_becomes_of(former))
        self.stdout.write(secret)


def _read_overlap(text: str) -> timedelta:
    try:
        return parse_overlap(text)
    except ValueError as error:
        raise ValidationError(f"--overlap takes 0, 90m, 24h or 30d, up to {MAX_OVERLAP.days} days.") from error


def _what_becomes_of(former: KeySecret) -> str:
    former.refresh_from_db()
    if former.is_retired or former.retires_at is None:
        return f"The former secret, {former.hint}, is refused from now on."
    return f"The former secret, {former.hint}, works until {in_words(former.retires_at)}."
