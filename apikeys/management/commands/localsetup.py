"""`localsetup`: what `make run` needs once to start a portal on a developer's own machine."""

import secrets
from typing import Any

from django.conf import settings
from django.core.checks import ERROR, Tags, run_checks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS
from typing_extensions import override

from accounts.models import User
from accounts.services import create_user
from audit.origin import Origin
from credentials.scopes.services import add_scope

ACCOUNTS = (("operator@example.com", True), ("developer@example.com", False))
SCOPES = (
    ("reports:read", "Read reports (an example; operators maintain this catalogue)"),
    ("reports:write", "Create and change reports (an example)"),
)


class Command(BaseCommand):
    """Migrate, collect static files and, in an empty portal, create an operator, a developer and two scopes."""

    help = "Set up a local portal to try out."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django declares it so  # the server prints the warnings

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Create what is missing; nothing if the portal has users. Raises `CommandError` outside local mode."""
        if not settings.KEYPORTAL_LOCAL:
            raise CommandError("Only for local mode (KEYPORTAL_LOCAL=true): production starts without accounts.")
        found = [*run_checks(), *run_checks(tags=[Tags.database], databases=[DEFAULT_DB_ALIAS])]
        errors = [f"{message.id} {message.msg} {message.hint or ''}" for message in found if message.level >= ERROR]
        if errors:
            raise CommandError("\n".join(errors))
        # One process runs all three commands, so that a second start takes only seconds.
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        if User.objects.exists():
            return
        origin = Origin.of_command("localsetup")
        for name, description in SCOPES:
            add_scope(name=name, description=description, restricted=False, origin=origin)
        self.stdout.write("Created for this machine and printed only once:")
        for email, operator in ACCOUNTS:
            password = secrets.token_urlsafe(15)
            create_user(email=email, password=password, confirmed=True, operator=operator, origin=origin)
            self.stdout.write(f"  {'operator ' if operator else 'developer'}  {email}  {password}")
