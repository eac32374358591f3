"""The log-in form, sent as a browser sends it."""

from django.test import Client

from tests.accounts.mailbox import get, post
from tests.conftest import PASSWORD


def log_in_by_form(email: str, password: str = PASSWORD) -> Client:
    """Return a new browser that has sent the form."""
    client = Client()
    post(client, "/accounts/login/", login=email, password=password)
    return client


def is_logged_in(client: Client) -> bool:
    return bool(get(client, "/keys/").status_code == 200)
