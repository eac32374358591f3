"""The command `rings`, which lists the keys of the server's rings and what was written with them."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from django.core.serializers.json import DjangoJSONEncoder
from typing_extensions import override

from integrity.rings import signing_ring
from keyportal.ring_usage import RingKeyUse, ring_key_uses


class Command(BaseCommand):
    """A command that prints ids and counts, and no key. It reads whole tables, so it takes a while."""

    help = (
        "List the keys of the sealing, index and signing rings: which one writes, since when, and which rows name it."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Print the rings."""
        uses = ring_key_uses()
        signing = [{"key_id": key.id, "algorithm": key.algorithm} for key in signing_ring()]
        if options["json"]:
            body = {"rings": [asdict(use) for use in uses], "signing": signing}
            self.stdout.write(json.dumps(body, cls=DjangoJSONEncoder))
            return
        for use in uses:
            self.stdout.write(f"{use.ring} {use.key_id}: {'; '.join(_facts(use))}")
        for position, key in enumerate(signing):
            self.stdout.write(f"signing {key['key_id']}: {'verifies' if position else 'signs'}; {key['algorithm']}")


def _facts(use: RingKeyUse) -> Iterator[str]:
    if not use.is_configured:
        yield "missing in the settings"
    else:
        yield "writes" if use.writes else "reads"
    if use.used_since is None:
        yield "no row was written with it yet"
        return
    yield f"first used {use.used_since:%Y-%m-%d %H:%M} UTC"
    yield ", ".join(f"{count:,} {kind}" for kind, count in use.rows.items()) or "no row names it"
