"""The command `createtriggers`, which recreates triggers that were dropped, disabled or replaced."""

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import connection
from typing_extensions import override

from audit.append_only import create_refusals
from credentials.verified_cache.trigger_setup import create_triggers


class Command(BaseCommand):
    """A command to run when `/readyz` says that changes can't be detected, or `verifyaudit` misses triggers."""

    help = "Recreate the triggers that announce changes and keep the audit trail append-only."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        """Create the triggers in one transaction. Raises `django.db.Error`."""
        with connection.schema_editor() as editor:
            create_triggers(apps, editor)
            create_refusals(apps, editor)
