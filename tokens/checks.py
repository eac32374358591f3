"""System checks of the tokens room."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

HOUR, DAY = 3600, 24 * 3600
BOUNDS = {
    "KEYPORTAL_ACCESS_LIFETIME": (60, HOUR),
    "KEYPORTAL_REFRESH_IDLE": (HOUR, 365 * DAY),
    "KEYPORTAL_REFRESH_LIFETIME": (HOUR, 365 * DAY),
    "KEYPORTAL_REFRESH_GRACE": (0, 60),
    "KEYPORTAL_LEEWAY": (0, 60),
}
"""Seconds. An access token of more than an hour would outlive what offline verifiers can't see for too long."""


@register("keyportal")
def check_lifetimes(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """E030: a time of the tokens is out of bounds."""
    return [
        Error(f"{name} must be {least} to {most} seconds.", id="keyportal.E030")
        for name, (least, most) in BOUNDS.items()
        if not least <= getattr(settings, name) <= most
    ]
