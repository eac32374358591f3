"""System checks of the apikeys room."""

import re
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

REVEAL_MODES = ("reauth", "once")


@register("keyportal")
def check_reveal(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """E010: KEYPORTAL_REVEAL is none of its two values."""
    if settings.KEYPORTAL_REVEAL in REVEAL_MODES:
        return []
    return [Error(f"KEYPORTAL_REVEAL must be one of {', '.join(REVEAL_MODES)}.", id="keyportal.E010")]


@register("keyportal")
def check_brand(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """E011: KEYPORTAL_BRAND would break the form of a secret."""
    if re.fullmatch(r"[a-z][a-z0-9]{1,9}", settings.KEYPORTAL_BRAND):
        return []
    return [Error("KEYPORTAL_BRAND must be 2 to 10 characters of a-z and 0-9.", id="keyportal.E011")]
