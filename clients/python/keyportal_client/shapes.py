"""What the API answers, as types of JSON: the members that this client relies on. A portal may send more.

Texts that people write are `str`, and are made inert where they are shown. All others have a pattern, so that what
claims to be a portal can put nothing but an id where an id is shown, and nothing but a secret where a secret is
written.
"""

import re
from typing import Annotated, TypedDict

Id = Annotated[str, re.compile(r"[0-9A-Za-z_-]{1,64}")]
Word = Annotated[str, re.compile(r"[a-z][a-z_]{0,31}")]
"""One of a few words, which may become more."""
Time = Annotated[str, re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)]
"""A time of RFC 3339."""
SecretText = Annotated[str, re.compile(r"[a-z0-9]{1,16}_(?:live|test)_[0-9A-Za-z]{16,128}")]
Token = Annotated[str, re.compile(r"[\x21-\x7e]{1,8000}")]


class Secret(TypedDict):
    """A secret of a key: what may be shown of it."""

    id: Id
    hint: str
    created_at: Time
    retires_at: Time | None
    last_used_at: Time | None


class SecretOnly(TypedDict):
    """The one member that the answers to a creation and a rotation have besides those of a key."""

    secret: SecretText


class Key(TypedDict):
    """A key. Times are RFC 3339 in UTC."""

    id: Id
    name: str
    environment: Word
    state: Word
    scopes: list[str]
    networks: list[str]
    rate_limit: str | None
    created_at: Time
    expires_at: Time | None
    paused_at: Time | None
    paused_until: Time | None
    paused_reason: str
    revoked_at: Time | None
    revoked_reason: str
    last_used_at: Time | None
    owner: Id
    secrets: list[Secret]


class KeyPage(TypedDict):
    """One page of keys, newest first; `next` is the cursor of the page after it."""

    items: list[Key]
    next: str | None


class Calls(TypedDict):
    """The calls of one hour or day, by outcome."""

    at: Time
    outcomes: dict[str, int]


class Usage(TypedDict):
    """The calls of a key, oldest first. Hours and days without calls are left out."""

    by: Word
    days: int
    items: list[Calls]


class Event(TypedDict):
    """One event of a key's history."""

    id: int
    at: Time
    type: Word
    title: str
    by: str
    address: str | None
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

    kind: Word
    id: Id
    name: str
    client_id: Id
    owner: Id
    environment: Word
    scopes: list[str]
    expires_at: Time | None


class Tokens(TypedDict):
    """The tokens of a log-in (RFC 6749 §5.1)."""

    access_token: Token
    refresh_token: Token
    expires_in: int
    scope: str
