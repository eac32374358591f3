"""`diffsettings`: Django's command, without the secrets."""

from collections.abc import Mapping
from typing import Any, Final

from django.core.management.commands import diffsettings
from typing_extensions import override

from keyportal.options import OPTIONS

HIDDEN: Final = frozenset(option.name for option in OPTIONS if option.secret) | {"DATABASES", "EMAIL_HOST_PASSWORD"}


class Command(diffsettings.Command):
    """Show the settings that differ from Django's, without secrets: terminals are recorded, and listings are pasted."""

    @override
    def output_hash(
        self, user_settings: Mapping[str, str], default_settings: dict[str, str], **options: Any
    ) -> list[str]:
        return super().output_hash(_hide(user_settings), default_settings, **options)

    @override
    def output_unified(
        self, user_settings: Mapping[str, str], default_settings: dict[str, str], **options: Any
    ) -> list[str]:
        return super().output_unified(_hide(user_settings), default_settings, **options)


def _hide(values: Mapping[str, str]) -> dict[str, str]:
    return {name: "(not shown)" if name in HIDDEN and value != "''" else value for name, value in values.items()}
