"""What the API answers, as types of JSON: the members that this client relies on. A portal may send more."""

from typing import TypedDict


class Secret(TypedDict):
    """A secret of a key: what may be shown of it."""

    id: str
    hint: str
    created_at: str
    retires_at: str | None
    last_used_at: str | None


class SecretOnly(TypedDict):
    """The one member that the answers to a creation and a rotation have besides those of a key."""

    secret: str


class Key(TypedDict):
    """A key. Times are RFC 3339 in UTC."""

    id: str
    name: str
    environment: str
    state: str
    scopes: list[str]
    networks: list[str]
    rate_limit: str | None
    created_at: str
    expires_at: str | None
    paused_at: str | None
    paused_until: str | None
    paused_reason: str
    revoked_at: str | None
    revoked_reason: str
    last_used_at: str | None
    owner: str
    secrets: list[Secret]


class KeyPage(TypedDict):
    """One page of keys, newest first; `next` is the cursor of the page after it."""

    items: list[Key]
    next: str | None


class Calls(TypedDict):
    """The calls of one hour or day, by outcome."""

    at: str
    outcomes: dict[str, int]


class Usage(TypedDict):
    """The calls of a key, oldest first. Hours and days without calls are left out."""

    by: str
    days: int
    items: list[Calls]


class Event(TypedDict):
    """One event of a key's history."""

    id: int
    at: str
    type: str
    title: str
    by: str
    address: str
    details: dict[str, object]


class EventPage(TypedDict):
    """One page of events, newest first."""

    items: list[Event]
    next: str | None


class Scope(TypedDict):
    """A scope of the catalogue."""

    name: str
    description: str


class ScopeList(TypedDict):
    """The scopes that the caller can give a key."""

    items: list[Scope]


class Me(TypedDict):
    """The credential that a call was made with."""

    kind: str
    id: str
    name: str
    client_id: str
    owner: str
    environment: str
    scopes: list[str]
    expires_at: str | None


class Tokens(TypedDict):
    """The tokens of a log-in (RFC 6749 §5.1)."""

    access_token: str
    refresh_token: str
    expires_in: int
    scope: str
