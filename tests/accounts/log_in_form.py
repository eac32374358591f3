"""The log-in form, sent as a browser sends it."""

from typing import Any

from django.test import Client, TestCase

from tests.accounts.mailbox import get
from tests.conftest import PASSWORD


def log_in_by_form(client: Client, email: str = "dev@example.com", password: str = PASSWORD, **where: Any) -> Any:
    """Send the form, and return the answer."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        return client.post("/accounts/login/", {"login": email, "password": password}, secure=True, **where)


def browser_of(email: str, password: str = PASSWORD) -> Client:
    """Return a new browser that has sent the form, whether or not it was let in."""
    client = Client()
    log_in_by_form(client, email, password)
    return client


def is_logged_in(client: Client) -> bool:
    """Return whether the browser gets to its keys."""
    return bool(get(client, "/keys/").status_code == 200)
