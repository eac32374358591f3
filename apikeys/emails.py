"""E-mails to a key's owner: what happened, when, from where, and what to do if it was not them.

They are queued in the verb's transaction and sent after it commits. A mail server that is down breaks nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.link_mail import absolute
from accounts.mail import Message
from accounts.message_kinds import MessageKind
from accounts.pending import send_after_commit
from accounts.preferences import is_wanted
from accounts.times import in_words
from apikeys.models import APIKey, Environment
from audit.origin import Origin


class Widening(NamedTuple):
    """One line of a message: what the key has now, and what it had before."""

    label: str
    now: str
    before: str


def send_key_created(key: APIKey, origin: Origin) -> None:
    """Notify the owner of a new key."""
    _send_if_wanted("created", f"Key created: {key.name}", key, origin)


def send_key_revealed(key: APIKey, origin: Origin) -> None:
    """Notify the owner that a secret was revealed."""
    _send("revealed", f"Secret revealed: {key.name}", key, origin)


def send_key_revoked(key: APIKey, origin: Origin) -> None:
    """Notify the owner that a key was revoked."""
    _send_if_wanted("revoked", f"Key revoked: {key.name}", key, origin)


def send_key_rotated(key: APIKey, hint: str, retires_at: datetime | None, origin: Origin) -> None:
    """Notify the owner that a key has a new secret; the one with this hint works until then, or no longer."""
    _send_if_wanted("rotated", f"Key rotated: {key.name}", key, origin, hint=hint, retires_at=retires_at)


def send_key_paused(key: APIKey, origin: Origin) -> None:
    """Notify the owner that a key is refused for now."""
    _send_if_wanted("paused", f"Key paused: {key.name}", key, origin)


def send_key_resumed(key: APIKey, origin: Origin) -> None:
    """Notify the owner that a paused key is accepted again."""
    _send_if_wanted("resumed", f"Key resumed: {key.name}", key, origin)


def send_key_widened(key: APIKey, before: Mapping[str, Any], origin: Origin) -> None:
    """Notify the owner that a key was given wider rights; `before` maps each widened column to its former value."""
    lines = []
    for column, value in before.items():
        label, show = FORMATS.get(column, (column.replace("_", " ").capitalize(), _text_or_none))
        lines.append(Widening(label, show(getattr(key, column)), show(value)))
    if lines:
        _send("changed", f"Key changed: {key.name}", key, origin, wider=lines)


def _text_or_none(value: object) -> str:
    return str(value or "none")


def _names(none: str) -> Callable[[str], str]:
    return lambda text: ", ".join(text.split()) or none


def _expiry(at: datetime | None) -> str:
    if at is None:
        return "never"
    return f"{in_words(at)}, in the past" if at <= timezone.now() else in_words(at)


def _pause(at: datetime | None) -> str:
    return f"since {in_words(at)}" if at else "no longer"


def _end_of_pause(at: datetime | None) -> str:
    return in_words(at) if at else "it is resumed"


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _rate_limit(limit: str) -> str:
    return limit or f"{settings.KEYPORTAL_RATE_LIMIT or 'none'}, the portal's default"


FORMATS: Final[Mapping[str, tuple[str, Callable[[Any], str]]]] = {
    "scopes": ("Scopes", _names("none")),
    "networks": ("Allowed networks", _names("any")),
    "expires_at": ("Expires", _expiry),
    "rate_limit": ("Rate limit", _rate_limit),
    "paused_at": ("Paused", _pause),
    "paused_until": ("Paused until", _end_of_pause),
    "paused_by_operator": ("Paused by an operator", _yes_or_no),
}
"""For each column of which the owner is notified: its label, and how to format its values."""


def _send_if_wanted(what: str, subject: str, key: APIKey, origin: Origin, **more: object) -> None:
    """Send a message that the owner can switch off. What anybody else did with the key is always reported."""
    if origin.actor != f"user:{key.owner_id}":
        _send(what, subject, key, origin, **more)
    elif is_wanted(key.owner_id, _kind_of(key)):
        _send(what, subject, key, origin, preferences_url=absolute("account_emails"), **more)


def _kind_of(key: APIKey) -> MessageKind:
    return MessageKind.TEST_KEYS if key.environment == Environment.TEST else MessageKind.LIVE_KEYS


def _send(what: str, subject: str, key: APIKey, origin: Origin, **more: object) -> None:
    by_operator = origin.actor.startswith(("command:", "user:")) and origin.actor != f"user:{key.owner_id}"
    queue_message(what, subject, key, {**more, "origin": origin, "by_operator": by_operator, "at": timezone.now()})


def queue_message(what: str, subject: str, key: APIKey, context: Mapping[str, object]) -> None:
    """Queue a message to the key's owner, with a link to the key."""
    context = {
        **context,
        "key": key,
        "key_url": settings.KEYPORTAL_URL.rstrip("/") + reverse("keys:detail", args=[key.pk]),
    }
    message = Message(
        to=key.owner.email,
        subject=f"[keyportal] {subject}",
        text=render_to_string(f"keys/email/{what}.txt", context),
        html=render_to_string(f"keys/email/{what}.html", context),
    )
    send_after_commit(message, what=f"key {what}")
