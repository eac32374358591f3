"""`resumekey KEY_ID`: an operator has a paused key accepted again."""

from typing import Any

from typing_extensions import override

from apikeys import services
from apikeys.management.key_command import KeyCommand
from apikeys.models import APIKey
from audit.origin import Origin


class Command(KeyCommand):
    """Resume one key, also one that an operator paused. Its owner is notified."""

    help = "Resume a paused key."

    @override
    def act(self, key: APIKey, options: dict[str, Any]) -> None:
        """Resume the key and print whether it was paused."""
        done = services.resume(key=key, by_operator=True, origin=Origin.of_command("resumekey"))
        self.stdout.write(f"{key.pk} is resumed." if done else f"{key.pk} was not paused.")
