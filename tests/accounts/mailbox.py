"""What a person's mailbox holds, and forms that are sent as a browser sends them."""

import re
from typing import Any

from django.core import mail
from django.test import Client, TestCase

from accounts.models import PendingMessage


def post(client: Client, path: str, **fields: Any) -> Any:
    """Send a form, and what is sent by e-mail after the commit."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        return client.post(path, fields, secure=True)


def forget_messages() -> None:
    """Empty every mailbox, and let what the test has written without a commit never leave."""
    PendingMessage.objects.all().delete()
    mail.outbox.clear()


def get(client: Client, path: str) -> Any:
    return client.get(path, secure=True)


def messages_to(email: str) -> list[str]:
    """Return the texts of the messages to this address, oldest first."""
    return [str(message.body) for message in mail.outbox if message.to == [email]]


def link_to(email: str, part: str = "") -> str:
    """Return the path of the newest link that this address got and whose path holds this part."""
    for text in reversed(messages_to(email)):
        for path in re.findall(r"https://portal\.test(/\S+)", text):
            if part in path:
                return str(path)
    raise AssertionError(f"no link with {part} was sent to {email}")
