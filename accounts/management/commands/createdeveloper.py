"""The command `createdeveloper EMAIL`, which creates the account of a developer or an operator."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError
from typing_extensions import override

from accounts import services
from accounts.emails import normalize_email
from accounts.models import User
from audit.origin import Origin


class Command(BaseCommand):
    """A command that creates an account. Without a password, the owner sets one through “Forgot your password?”."""

    help = "Create the account of a developer or, with --operator, of an operator."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--confirmed", action="store_true", help="the address is known to be theirs")
        parser.add_argument("--operator", action="store_true", help="give the account every right in the admin site")
        parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Create the account and print its id. Raises `CommandError` for a bad or taken address or a weak password."""
        candidate = User(email=normalize_email(options["email"]))
        password = _read_password() if options["password_stdin"] else None
        try:
            candidate.clean_fields(exclude=["password"])
            if password is not None:
                validate_password(password, candidate)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        try:
            user = services.create_user(
                email=candidate.email,
                password=password,
                confirmed=options["confirmed"],
                operator=options["operator"],
                origin=Origin.of_command("createdeveloper"),
            )
        except IntegrityError as taken:
            raise CommandError(f"{candidate.email} already has an account.") from taken
        self.stdout.write(user.pk)


def _read_password() -> str:
    """Return the first line of standard input without its line ending. Raises `CommandError` if it is not UTF-8."""
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        raise CommandError("The password on standard input is not UTF-8.") from None
