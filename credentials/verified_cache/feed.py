"""The change feed: what verifiers in other processes have to forget, and up to when they know everything.

Any worker answers for all of them: on PostgreSQL from what its listener has received (`change_log.py`), on SQLite from
a table that triggers write to (`change_table.py`). No answer waits: a verifier asks again a quarter of a second later.
The protocol and why nothing can be missed: docs/change-feed.md.
"""

import os
from functools import cache
from typing import Final, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections

from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache import clock
from credentials.verified_cache.change_log import Cursor, News
from credentials.verified_cache.change_table import ChangeTable
from credentials.verified_cache.freshness import freshness
from credentials.verified_cache.lease import SECONDS
from credentials.verified_cache.verdict_tables import EVERYTHING

MAX_TAGS: Final = 1000
"""From this many changes on, a verifier forgets all its records instead."""
MAX_CURSOR: Final = 128
"""Characters of a cursor."""


class UnknownChangesError(Exception):
    """This worker can't know whether something has changed."""


class Changes(NamedTuple):
    """What a verifier has to forget."""

    cursor: str
    """What to ask with next time."""
    age: float
    """For how many seconds it has not been certain that this is everything."""
    tags: tuple[str, ...] | None
    """The tags of what has changed, each once; None for everything."""


class ChangeFeed:
    """What this process can say of changes. Thread-safe."""

    def __init__(self) -> None:
        self._table = ChangeTable(freshness())

    @property
    def fault(self) -> str | None:
        """Why changes are not announced to verifiers, for the operator; empty if they are, None if that is unknown."""
        is_sqlite = connections[DEFAULT_DB_ALIAS].vendor == "sqlite"
        return self._table.fault if is_sqlite else freshness().lease.fault

    def check(self) -> None:
        """Find out whether there is a fault. Raises `django.db.Error`. On PostgreSQL, each heartbeat does so."""
        if connections[DEFAULT_DB_ALIAS].vendor == "sqlite":
            self._table.check()

    def changes_since(self, cursor: str | None, *, may_query: bool) -> Changes:
        """Return what came after a cursor that a feed gave; without one, a first cursor.

        Raises `UnknownChangesError`, `django.db.Error`, and `WouldBlockError` if it may not query and would have to.
        """
        given = Cursor.parse(cursor) if cursor else None
        if connections[DEFAULT_DB_ALIAS].vendor == "sqlite":
            return self._on_sqlite(given, may_query=may_query)
        known_up_to = freshness().lease.known_up_to  # read first: whatever arrives meanwhile is part of the answer
        if known_up_to is None and may_query:
            freshness().current()  # starts the listener, or aborts one that is silent
        news = freshness().lease.log.since(given) if known_up_to is not None else None
        if news is None or known_up_to is None:
            if not may_query:
                raise WouldBlockError
            raise UnknownChangesError
        age = clock.now() - known_up_to
        return _changes(news, age if news.is_up_to_date else max(age, SECONDS))

    def cursor(self, *, may_query: bool) -> str | None:
        """Return a cursor before which nothing is that a record read from now on lacks; None if none is known.

        Raises as `changes_since` does, but for `UnknownChangesError`.
        """
        if connections[DEFAULT_DB_ALIAS].vendor == "sqlite":
            if not may_query:
                return str(self._table.head_at_once())
            news = self._table.since(None)
            return str(news.cursor) if news else None
        lease = freshness().lease
        return str(lease.log.head) if lease.is_held and lease.log.head else None

    def _on_sqlite(self, cursor: Cursor | None, *, may_query: bool) -> Changes:
        began = clock.now()
        if may_query:
            news = self._table.since(cursor)
            if news is None:
                raise UnknownChangesError
            return _changes(news, clock.now() - began)
        head = self._table.head_at_once()
        if cursor not in (None, head):
            raise WouldBlockError
        return _changes(News(head, None if cursor is None else []), clock.now() - began)


@cache
def change_feed() -> ChangeFeed:
    """Return the feed of this process."""
    return ChangeFeed()


os.register_at_fork(after_in_child=change_feed.cache_clear)


def _changes(news: News, age: float) -> Changes:
    tags = None if news.tags is None else tuple(dict.fromkeys(news.tags))
    if tags is not None and (EVERYTHING in tags or len(tags) > MAX_TAGS):
        tags = None
    return Changes(str(news.cursor), age, tags)
