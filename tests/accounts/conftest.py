"""Fixtures that the tests of accounts share."""

import pytest
from django.test import Client

from accounts.models import User
from tests.conftest import LogIn


@pytest.fixture
def owner(log_in: LogIn, developer: User) -> Client:
    """The developer's browser, logged in."""
    return log_in(developer)
