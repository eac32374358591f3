"""The command `newsecrets FOLDER`, which writes the first secrets of a portal into files."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from keyportal.first_secrets.files import UnsafeFolderError, write_missing


class Command(BaseCommand):
    """A command that writes a file for each secret, named as its setting. It changes none, and prints no secret."""

    help = "Write the secrets that a folder lacks into files. Settings name them: SECRET_KEY_FILE=FOLDER/SECRET_KEY."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django declares it so  # there are no settings yet

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="made if it is missing; only this user may read it")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Write the files and print the names of those that are new. Raises `CommandError`."""
        try:
            made = write_missing(options["folder"])
        except UnsafeFolderError as error:
            raise CommandError(f"The folder {error}.") from None
        except OSError as error:
            raise CommandError(f"The folder can't be written: {error.strerror}.") from None
        for name in made:
            self.stdout.write(name)
