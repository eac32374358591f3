"""What the commands share that act on one key."""

from abc import abstractmethod
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from accounts.errors import IssuingSuspendedError
from apikeys.end_text import EXPECTED, parse_end
from apikeys.errors import APIKeyError
from apikeys.models import APIKey


class KeyCommand(BaseCommand):
    """A command with the id of a key. It prints the outcome, or why the key is left as it is."""

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key_id")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Act on the key. Raises `CommandError` for an unknown id, and for what a form or the verb would refuse."""
        key = APIKey.objects.filter(pk=options["key_id"]).first()
        if key is None:
            raise CommandError("There is no key with this id.")
        try:
            self.act(key, options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except (APIKeyError, IssuingSuspendedError) as error:
            raise CommandError(str(error)) from error

    @abstractmethod
    def act(self, key: APIKey, options: dict[str, Any]) -> None:
        """Act on the key, and print what was done. Raises `ValidationError` or `APIKeyError`."""


def read_end(option: str, text: str, *, more: str = "") -> datetime:
    """Return the end that an option names. Raises `ValidationError` with what the option takes."""
    try:
        return parse_end(text)
    except ValueError as error:
        raise ValidationError(f"{option} takes {EXPECTED}{more}.") from error
