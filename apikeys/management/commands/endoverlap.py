"""`endoverlap KEY_ID`: an operator ends the overlap of a rotation before its time."""

from typing import Any

from typing_extensions import override

from apikeys import services
from apikeys.management.key_command import KeyCommand
from apikeys.models import APIKey
from audit.origin import Origin


class Command(KeyCommand):
    """Retire the former secret of one key now. The current one goes on working."""

    help = "End the overlap of a rotated key: its former secret is refused from the next call on."

    @override
    def act(self, key: APIKey, options: dict[str, Any]) -> None:
        """End the overlap and print whether one was running."""
        done = services.end_overlap(key=key, origin=Origin.of_command("endoverlap"))
        self.stdout.write(f"{key.pk}: the former secret is retired." if done else f"{key.pk} has no overlap.")
