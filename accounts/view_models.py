"""What the account's pages show of events and sessions."""

from datetime import datetime
from typing import NamedTuple

from allauth.usersessions.models import UserSession
from django.db.models import QuerySet

from accounts.models import User
from accounts.names import printable
from audit.event_types import EventType
from audit.models import Event


class ByWhom(NamedTuple):
    """Who caused an event, as the account's user may know it: operators without their names and addresses."""

    words: str
    """`by you`, `by an operator`; empty if it was nobody that is known."""
    address: str | None
    """The address that it came from."""


class HistoryEntry(NamedTuple):
    """One event of the security history."""

    sentence: str
    key_id: str
    """The key that the event is about; empty if it is about none."""
    by: ByWhom
    at: datetime
    is_new_device: bool
    """Whether it is a log-in with a browser or a program that was new then."""


class SessionRow(NamedTuple):
    """One session of the list."""

    id: int
    address: str
    browser: str
    is_current: bool
    started_at: datetime
    seen_at: datetime | None
    """When it was last used; None if that is not tracked."""


def by_whom(event: Event, user: User) -> ByWhom:
    """Return who caused an event, as this user may know it."""
    actor = str(event.actor)  # a row that the portal did not write may hold something else
    if actor == f"user:{user.pk}":
        return ByWhom("by you", event.address)
    if actor.startswith("user:"):
        return ByWhom("by an operator", None)
    if actor.startswith("command:"):
        return ByWhom("by an operator at the command line", None)
    if actor.startswith("key:"):
        return ByWhom(f"with the key {actor.removeprefix('key:')}", event.address)
    return ByWhom("", event.address)


def events_of(user: User) -> QuerySet[Event]:
    """Return the events of a user's history: what they did, and what anybody did with their account or their keys."""
    keys = User.objects.filter(pk=user.pk).values("keys")
    parts = (
        Event.objects.filter(actor=f"user:{user.pk}"),
        Event.objects.filter(subject_type="user", subject_id=user.pk),
        Event.objects.filter(subject_type="key", subject_id__in=keys).exclude(verb=EventType.TOKEN_ISSUED),
    )
    # Each part has an index. For one condition with OR, PostgreSQL would read the whole trail.
    first, *others = (part.order_by().values("pk") for part in parts)
    shown = Event.objects.filter(pk__in=first.union(*others))
    # Programs get tokens every few minutes: recorded, but of no interest on this page.
    return shown.exclude(verb=EventType.TOKEN_REFRESHED).order_by("-at", "-id")


def history_entry(event: Event, user: User) -> HistoryEntry:
    """Return an event as this user's history shows it."""
    key_id = event.subject_id if event.subject_type == "key" else ""
    # An event that the portal did not write may have details of any form.
    is_new = isinstance(event.details, dict) and event.details.get("new_device") is True
    return HistoryEntry(event.sentence, key_id, by_whom(event, user), event.at, is_new)


def session_row(session: UserSession, *, tracked: bool) -> SessionRow:
    """Return a session as its user's list shows it. `tracked` means that each use is recorded."""
    return SessionRow(
        id=session.pk,
        address=session.ip,
        browser=printable(str(session.user_agent)) or "Unknown browser",
        is_current=session.is_current(),
        started_at=session.created_at,
        seen_at=session.last_seen_at if tracked else None,
    )
