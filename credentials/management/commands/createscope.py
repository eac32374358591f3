"""The command `createscope NAME --description D`, which adds a scope to the catalogue."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError
from typing_extensions import override

from audit.origin import Origin
from credentials.scopes import services
from credentials.scopes.descriptions import clean_description
from credentials.scopes.models import Scope


class Command(BaseCommand):
    """A command that adds a scope, as the admin site does. Keys that are created from then on can have it."""

    help = "Add a scope to the catalogue."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="such as reports:read; it can't be changed later")
        parser.add_argument("--description", required=True, help="what it allows, as developers read it")
        parser.add_argument("--operators-only", action="store_true", help="developers can't take it themselves")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Add the scope and print its name. Raises `CommandError` for a bad or taken name or a bad description."""
        try:
            Scope(name=options["name"]).clean_fields(exclude=["description", "seal"])
            scope = services.add_scope(
                name=options["name"],
                description=clean_description(options["description"]),
                restricted=options["operators_only"],
                origin=Origin.of_command("createscope"),
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except IntegrityError as taken:
            raise CommandError("The catalogue has a scope of this name.") from taken
        self.stdout.write(scope.name)
