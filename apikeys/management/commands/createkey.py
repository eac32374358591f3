"""`createkey EMAIL --name N`: an operator creates a key for a developer."""

from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from accounts.emails import normalize_email
from accounts.errors import IssuingSuspendedError
from accounts.models import User
from apikeys import services
from apikeys.end_text import EXPECTED
from apikeys.errors import APIKeyError, ReservedScopeError, UnknownScopeError
from apikeys.management.key_command import read_end
from apikeys.models import Environment
from apikeys.names import clean_name
from apikeys.networks import NetworksError, parse_list
from apikeys.services.policies import Expiry
from audit.origin import Origin

NEVER: Final = "never"


class Command(BaseCommand):
    """Create a key and print only its secret on standard output, so that it can be piped to where it belongs."""

    help = "Create a key and print its secret."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", required=True)
        parser.add_argument("--environment", choices=Environment.values, default=Environment.LIVE)
        parser.add_argument("--scope", action="append", default=[], metavar="SCOPE")
        parser.add_argument("--network", action="append", default=[], help="such as 203.0.113.0/24; by default any")
        parser.add_argument("--expires", metavar="END", help=f"{EXPECTED}, or never; by default what the policy says")
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
                networks=_read_networks(options["network"]),
                expires_at=_read_expiry(options["expires"]),
                restricted=options["restricted"],
                origin=Origin.of_command("createkey"),
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except APIKeyError as error:
            raise CommandError(_explain(error)) from error
        except IssuingSuspendedError as error:
            raise CommandError(f"{error} An operator ends this with: newcredentials on") from error
        self.stderr.write(key.pk)
        self.stdout.write(secret)


def _explain(error: APIKeyError) -> str:
    """Return why there is no key, and what the operator at the command line can do about it."""
    if isinstance(error, UnknownScopeError):
        faults = [f"--scope (index {place}): This scope isn't in the catalogue." for place in error.places]
        return " ".join([*faults, "Add scopes with createscope, or in the operators' site: /admin/, Scopes."])
    if isinstance(error, ReservedScopeError):
        return f"{error} Add --restricted to grant {'it' if len(error.names) == 1 else 'them'}."
    return str(error)


def _read_expiry(text: str | None) -> datetime | Expiry | None:
    """Return the expiry: None for never, or what the policy says if none was given. Raises `ValidationError`."""
    if text is None:
        return Expiry.DEFAULT
    return None if text == NEVER else read_end("--expires", text, more=f", or {NEVER}")


def _read_networks(texts: Sequence[str]) -> list[str]:
    """Return the networks in canonical form. Raises `ValidationError` with what is wrong with each."""
    try:
        return [str(network) for network in parse_list(texts)]
    except NetworksError as error:
        faults = [f"--network (index {fault.line}): {fault.message}" for fault in error.faults]
        raise ValidationError([*faults, *([f"And {error.more} more."] if error.more else [])]) from error
