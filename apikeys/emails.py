"""E-mails to a key's owner: what happened, when, from where, and what to do if it was not them.

They are queued in the verb's transaction and sent after it commits. A mail server that is down breaks nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.link_mail import absolute
from accounts.mail import Message
from accounts.message_kinds import MessageKind
from accounts.names import without_links
from accounts.pending import send_after_commit
from accounts.preferences import is_wanted
from accounts.times import in_words
from apikeys.message_limits import CHANGES, NEW_KEYS, deserves_summary, surplus
from apikeys.models import APIKey, Environment
from audit.origin import Origin

LISTED: Final = 50
"""How many keys a message lists."""


class Widening(NamedTuple):
    """One line of a message: what the key has now, and what it had before."""

    label: str
    now: str
    before: str


def send_key_created(key: APIKey, origin: Origin) -> None:
    """Notify the owner of a new key."""
    _send_if_wanted("created", "Key created", key, origin)


def send_key_revealed(key: APIKey, origin: Origin) -> None:
    """Notify the owner that a secret was revealed."""
    _send("revealed", "Secret revealed", key, origin)


def send_key_revoked(key: APIKey, origin: Origin) -> None:
    """Notify the owner that a key was revoked."""
    _send_if_wanted("revoked", "Key revoked", key, origin, reason=without_links(key.revoked_reason))


def send_keys_revoked(keys: Sequence[APIKey], origin: Origin) -> None:
    """Notify an owner, once, that an operator has revoked these keys of theirs."""
    first = keys[0]
    number = f"{len(keys):,} key{'' if len(keys) == 1 else 's'}"
    listed = [(without_links(key.name) or key.pk, key.pk) for key in keys[:LISTED]]
    context = {"number": number, "listed": listed, "more": len(keys) - len(listed), "at": timezone.now()}
    context |= {"reason": without_links(first.revoked_reason), "keys_url": absolute("keys:list")}
    message = Message(
        to=first.owner.email,
        subject=f"[keyportal] {number} revoked",
        text=render_to_string("keys/email/revoked_many.txt", context),
        html=render_to_string("keys/email/revoked_many.html", context),
    )
    send_after_commit(message, what="keys revoked")


def send_key_rotated(key: APIKey, hint: str, retires_at: datetime | None, origin: Origin) -> None:
    """Notify the owner that a key has a new secret; the one with this hint works until then, or no longer."""
    _send_if_wanted("rotated", "Key rotated", key, origin, hint=hint, retires_at=retires_at)


def send_key_paused(key: APIKey, origin: Origin) -> None:
    """Notify the owner that a key is refused for now."""
    about = {"until": key.paused_until, "reason": without_links(key.paused_reason)}
    _send_if_wanted("paused", "Key paused", key, origin, **about)


def send_key_resumed(key: APIKey, origin: Origin) -> None:
    """Notify the owner that a paused key is accepted again."""
    _send_if_wanted("resumed", "Key resumed", key, origin)


def send_key_widened(key: APIKey, before: Mapping[str, Any], origin: Origin) -> None:
    """Notify the owner that a key was given wider rights; `before` maps each widened column to its former value."""
    lines = []
    for column, value in before.items():
        label, show = FORMATS.get(column, (column.replace("_", " ").capitalize(), _text_or_none))
        lines.append(Widening(label, show(getattr(key, column)), show(value)))
    if lines:
        _send_unless_many("changed", "Key changed", key, origin, wider=lines)


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
    is_owner = origin.actor == f"user:{key.owner_id}"
    if is_owner and not is_wanted(key.owner_id, _kind_of(key)):
        return
    more |= {"preferences_url": absolute("account_emails")} if is_owner else {}
    _send_unless_many(what, subject, key, origin, **more)


def _send_unless_many(what: str, subject: str, key: APIKey, origin: Origin, **more: object) -> None:
    """Send a message; instead of those that nobody would read any more, now and then one that says how many."""
    changes, new = surplus(key, origin)
    if not changes and not new:
        _send(what, subject, key, origin, **more)
    elif new and what == "created":
        if deserves_summary(new):
            _send("many", f"{NEW_KEYS + new} new keys within an hour, the newest", key, origin, new=NEW_KEYS + new)
    elif changes and deserves_summary(changes):
        _send("many", f"{CHANGES + changes} changes within an hour", key, origin, changes=CHANGES + changes)


def _kind_of(key: APIKey) -> MessageKind:
    return MessageKind.TEST_KEYS if key.environment == Environment.TEST else MessageKind.LIVE_KEYS


def _send(what: str, subject: str, key: APIKey, origin: Origin, **more: object) -> None:
    by_operator = origin.actor.startswith(("command:", "user:")) and origin.actor != f"user:{key.owner_id}"
    queue_message(what, subject, key, {**more, "origin": origin, "by_operator": by_operator, "at": timezone.now()})


def queue_message(what: str, subject: str, key: APIKey, context: Mapping[str, object]) -> None:
    """Queue a message to the key's owner, with the key's name in the subject and a link to the key."""
    # Whoever has a key that manages keys chooses these texts, and the owner might follow a link in them.
    name = without_links(key.name) or key.pk
    url = settings.KEYPORTAL_URL.rstrip("/") + reverse("keys:detail", args=[key.pk])
    context = {**context, "key": key, "key_name": name, "key_url": url}
    message = Message(
        to=key.owner.email,
        subject=f"[keyportal] {subject}: {name}",
        text=render_to_string(f"keys/email/{what}.txt", context),
        html=render_to_string(f"keys/email/{what}.html", context),
    )
    send_after_commit(message, what=f"key {what}")
