"""Messages to a key's owner: what happened, when, from where, and what to do if it was not them.

Sent after the transaction has committed. A mail server that is down is logged and breaks nothing.
"""

from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.mail import deliver, prepared
from accounts.origin import Origin
from apikeys.models import APIKey, Environment


def key_created(key: APIKey, origin: Origin) -> None:
    """Tell the owner of a new live key."""
    if key.environment == Environment.LIVE:
        _after_commit("created", f"Key created: {key.name}", key, origin)


def key_revealed(key: APIKey, origin: Origin) -> None:
    """Tell the owner that a secret was shown."""
    _after_commit("revealed", f"Secret revealed: {key.name}", key, origin)


def key_revoked(key: APIKey, origin: Origin) -> None:
    """Tell the owner that a key was ended."""
    _after_commit("revoked", f"Key revoked: {key.name}", key, origin)


def _after_commit(what: str, subject: str, key: APIKey, origin: Origin) -> None:
    context = {
        "key": key,
        "origin": origin,
        "by_operator": origin.actor.startswith(("command:", "user:")) and origin.actor != f"user:{key.owner_id}",
        "at": timezone.now(),
        "key_url": settings.KEYPORTAL_URL.rstrip("/") + reverse("keys:detail", args=[key.pk]),
    }
    # robust: an exception is logged by Django and goes no further; the key is made or revoked all the same.
    transaction.on_commit(lambda: _send(what, subject, key.owner.email, context), robust=True)


def _send(what: str, subject: str, to: str, context: dict[str, Any]) -> None:
    message = EmailMultiAlternatives(
        f"[keyportal] {subject}", render_to_string(f"keys/email/{what}.txt", context), to=[to]
    )
    message.attach_alternative(render_to_string(f"keys/email/{what}.html", context), "text/html")
    deliver(prepared(message), f"key {what}")
