"""`revokeall --reason R`: break the glass, and revoke every key that fits some filters."""

import json
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_date, parse_datetime
from typing_extensions import override

from accounts.emails import normalize_email
from accounts.models import User
from accounts.names import printable
from apikeys.models import Environment
from apikeys.names import clean_reason
from apikeys.selection import KeySelection
from apikeys.selection_preview import Preview, preview
from apikeys.services import BulkRevocation
from audit.origin import Origin
from integrity.key_check import is_known
from integrity.rings import index_ring, sealing_ring

TIMES: Final = ("created_before", "created_after", "used_after", "unused_since")
FILTERS: Final = ("owner", "environment", *TIMES, "index_key", "sealing_key")
EXPECTED: Final = "a day (2027-01-31, from its beginning, UTC) or a time with its zone (2027-01-31T12:00Z)"
ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Command(BaseCommand):
    """Show what fits, ask for the number, revoke in batches. It can be stopped at any time and run again."""

    help = (
        "Revoke every key that fits all filters. Shows what that stops, and asks. Expired keys count too, because "
        "their owners can prolong them."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reason", required=True, help="owners and clients see it")
        parser.add_argument("--owner", metavar="EMAIL|usr_…")
        parser.add_argument("--environment", choices=Environment.values)
        parser.add_argument("--created-before", metavar="T", help=EXPECTED)
        parser.add_argument("--created-after", metavar="T", help="at this time or later")
        parser.add_argument("--used-after", metavar="T", help="accepted at this time or later")
        parser.add_argument("--unused-since", metavar="T", help="made before this time, and not accepted since")
        parser.add_argument("--index-key", metavar="ID", help="a live secret is found by this key of the index ring")
        parser.add_argument("--sealing-key", metavar="ID", help="a secret is stored under this key of the sealing ring")
        parser.add_argument("--everything", action="store_true", help="every key; goes with no other filter")
        parser.add_argument(
            "--also-logins", action="store_true", help="first end all sessions and signed tokens of the owners"
        )
        parser.add_argument("--no-messages", action="store_true", help="do not e-mail the owners")
        parser.add_argument("--dry-run", action="store_true", help="show what would be revoked, and change nothing")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true", help="print one JSON object to standard output")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Revoke what fits. Raises `CommandError` for filters that say nothing, a number that differs, or a signal."""
        try:
            reason = clean_reason(options["reason"], needed=True)
            selection = _selection(options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        found = preview(selection)
        if not options["json"]:
            self._show(found)
        done = 0
        if not options["dry_run"] and found.keys:
            self._confirm(found, asks=not options["yes"])
            bulk = BulkRevocation(
                selection=selection,
                reason=reason,
                notifies=not options["no_messages"],
                signs_out=options["also_logins"],
                origin=Origin.of_command("revokeall"),
            )
            done = self._revoke(bulk, found.keys)
        self._report(found, done, options)

    def _show(self, found: Preview) -> None:
        owners = f"{found.owners:,} owner{'' if found.owners == 1 else 's'}"
        keys = f"{found.keys:,} key{'' if found.keys == 1 else 's'}"
        self.stdout.write(f"{keys} of {owners}, with {found.calls:,} calls in the last 24 hours.")
        for used in found.most_used:
            name, email = printable(used.key.name), used.key.owner.email
            self.stdout.write(f"  {used.calls:>12,} calls  {used.key.pk}  {used.key.environment}  {name} ({email})")

    def _confirm(self, found: Preview, *, asks: bool) -> None:
        """Ask for the number of keys. Raises `CommandError` if another one is typed, or nothing can be."""
        if not asks:
            return
        self.stderr.write(f"This can't be undone. Type the number of keys, {found.keys}, to revoke them:")
        if sys.stdin.readline().strip().replace(",", "") != str(found.keys):
            raise CommandError("Nothing was revoked.")

    def _revoke(self, bulk: BulkRevocation, expected: int) -> int:
        done = 0
        with _signals() as received, closing(bulk.run()) as batches:
            for revoked in batches:
                done += revoked
                self.stderr.write(f"{done:,} of {expected:,} revoked")
                if received:
                    left = "Run the same command again to go on."
                    raise CommandError(f"Stopped: {done:,} of {expected:,} revoked. {left}")
        return done

    def _report(self, found: Preview, done: int, options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps({**found.members(), "revoked": done, "dry_run": options["dry_run"]}))
        elif options["dry_run"]:
            self.stdout.write("Nothing was revoked: this was a dry run.")
        else:
            self.stdout.write(f"{done:,} revoked.")


def _selection(options: dict[str, Any]) -> KeySelection:
    """Return the selection that the options name. Raises `CommandError`, and `ValidationError` for a time."""
    given = {name: options[name] for name in FILTERS if options[name] is not None}
    if "" in given.values():  # a shell's variable that is not set: the keys of everybody would fit
        raise CommandError("A filter is empty. Nothing was selected.")
    if options["everything"] == bool(given):
        raise CommandError("Give at least one filter. --everything goes with no other.")
    read: dict[str, Any] = {name: _time(name, text) if name in TIMES else text for name, text in given.items()}
    if "owner" in read:
        read["owner"] = _owner(read["owner"])
    for name, ring in (("index_key", index_ring()), ("sealing_key", sealing_ring())):
        if read.get(name) is not None and not is_known(ring, read[name]):
            raise CommandError(f"Neither the settings nor the database know such a key of the {ring.name} ring.")
    return KeySelection(**read)


def _owner(text: str) -> User:
    named = {"pk": text} if text.startswith("usr_") else {"email": normalize_email(text)}
    owner = User.objects.filter(**named).first()
    if owner is None:
        raise CommandError("No account has this address or id.")
    return owner


def _time(option: str, text: str) -> datetime:
    try:
        day = None if "T" in text else parse_date(text)
        at = parse_datetime(f"{day}T00:00Z" if day else text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValidationError(f"--{option.replace('_', '-')} takes {EXPECTED}.")
    return at.astimezone(UTC)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect the signals that ask the process to end, so that it ends between two batches and says how far it came."""
    received: list[int] = []
    before = {number: signal.signal(number, lambda number, _: received.append(number)) for number in ENDING}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
