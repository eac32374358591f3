"""The pages of keys, in the browser of a developer."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from tests.accounts.mailbox import get
from tests.conftest import LogIn

SECRET = re.compile(r"kp_(?:live|test)_[0-9A-Za-z]{49}")


@pytest.fixture
def browser(log_in: LogIn, developer: User) -> Client:
    """The developer's browser, freshly logged in. Requests are https, as in production."""
    return log_in(developer)


def form_of(browser: Client, **fields: Any) -> dict[str, Any]:
    """Return the fields of the form for a new key, as its page has it."""
    page = get(browser, "/keys/new/").content.decode()
    found = re.search(r'name="form_token" value="(\w{43})"', page)
    assert found
    return {"name": "billing", "environment": "live", "expiry": "never", "form_token": found[1], **fields}


def secrets_in(response: Any) -> set[str]:
    """Return each secret that the page shows."""
    return set(SECRET.findall(response.content.decode()))
