"""Limits on attempts that are soon reached, by a clock that stands still."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from accounts.attempts import AttemptLimit, GrowingDelay

LIMIT = AttemptLimit("KEYPORTAL_LIMIT_SIGNUP", "Too many.")
DELAY = GrowingDelay("KEYPORTAL_LIMIT_LOGIN_ACCOUNT", "Wait.")
EDGE = datetime(2027, 1, 1, tzinfo=UTC)
"""Where a window of any length begins."""


@pytest.fixture(autouse=True)
def small(settings: Settings, time_machine: Any) -> None:
    settings.KEYPORTAL_LIMIT_SIGNUP = "4 per minute"
    settings.KEYPORTAL_LIMIT_LOGIN_ACCOUNT = "3 per hour"
    time_machine.move_to(EDGE, tick=False)
