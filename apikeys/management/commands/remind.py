"""`remind`: send the notices about keys and former secrets that are due."""

from typing import Any

from django.core.management.base import BaseCommand
from typing_extensions import override

from apikeys.notice_times import NoticeKind
from apikeys.services.notices import send_due_notices


class Command(BaseCommand):
    """Queue all notices that are due, as the portal does by itself. Any number of hosts may run it at once."""

    help = "Notify owners of keys that expire and of former secrets that retire, and say how many were notified."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Queue the notices, and print how many there were of each kind."""
        sent = send_due_notices()
        for kind in NoticeKind:
            self.stdout.write(f"{kind.label}: {sent[kind]} notices queued")
