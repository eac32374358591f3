"""Do several things cost equally much? By what they do, not by how long it takes: hashes, MACs, queries, messages.

Whoever measures answers could tell an account that exists from one that does not, unless the portal does the same for
both. A clock in a test only says whether the machine was busy; the same work is the same time on any machine.
"""

import hmac
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest import mock

from django.contrib.auth.hashers import Argon2PasswordHasher, get_hashers
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

LITERALS = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b|\bs\d+_x\d+\b|\bNULL\b|\b(?:true|false)\b", re.IGNORECASE)


@dataclass
class Work:
    """What was done that takes time."""

    hashes: "Counter[str]" = field(default_factory=Counter)
    """Password hashes, made or compared, by algorithm: each takes a hundred times as long as all the rest."""
    macs: int = 0
    """HMACs: index digests, row seals, signatures."""
    queries: "Counter[str]" = field(default_factory=Counter)
    """Statements without their values."""
    messages: int = 0


@contextmanager
def count_work() -> Iterator[Work]:
    """Count what is done inside, in this process."""
    done = Work()
    sent = len(mail.outbox)
    with ExitStack() as counting:
        hashes = _Hashes(done)
        for hasher in get_hashers():
            hashes.count(counting, type(hasher), str(hasher.algorithm))
        for name in ("digest", "hexdigest"):
            _count_macs(counting, done, name)
        queries = counting.enter_context(CaptureQueriesContext(connection))
        yield done
    done.queries.update(_statement(query["sql"]) for query in queries.captured_queries)
    done.messages = len(mail.outbox) - sent


class Quick(Argon2PasswordHasher):
    """The portal's own way to hash passwords, without what makes it costly: what is counted is how often."""

    time_cost = 1
    memory_cost = 64  # KiB
    parallelism = 1


QUICK: Final = f"{Quick.__module__}.{Quick.__qualname__}"


def _statement(sql: str | None) -> str:
    """Return it without its values. Of a prepared one psycopg tells the text at some times and not at others."""
    plain = LITERALS.sub("?", sql or "$1")
    return "a prepared question" if "$?" in plain else plain


def equal_work(actions: Mapping[str, Callable[[], object]], *, before: Callable[[], object] = int) -> Work:
    """Hold the actions to one amount of work, and return it; `before` each of them something uncounted is done.

    Whatever a process does only once must have been done: call each action before, if it can be called twice.
    """
    works: dict[str, Work] = {}
    for name, action in actions.items():
        before()
        with count_work() as works[name]:
            action()
    (first, expected), *others = works.items()
    for name, work in others:
        for kind, count in vars(expected).items():
            assert getattr(work, kind) == count, f"{name} and {first} differ in {kind}: {differing(work, expected)}"
    return expected


def differing(one: Work, other: Work) -> str:
    """Return in words what only one of the two does."""
    more, less = one.queries - other.queries, other.queries - one.queries
    figures = [(work.hashes, work.macs, work.messages) for work in (one, other)]
    return f"{figures[0]} against {figures[1]}; only the first: {sorted(more)}; only the second: {sorted(less)}"


class _Hashes:
    """Counts the outermost calls: comparing is making another one, for most hashers by calling their own maker."""

    def __init__(self, done: Work) -> None:
        self._done = done
        self._inside = False

    def count(self, counting: ExitStack, hasher: type[Any], algorithm: str) -> None:
        for name in ("encode", "verify", "harden_runtime"):
            counted = self._counted(getattr(hasher, name), algorithm)
            counting.enter_context(mock.patch.object(hasher, name, counted))

    def _counted(self, original: Callable[..., Any], algorithm: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if self._inside:
                return original(*arguments, **options)
            self._done.hashes[algorithm] += 1
            self._inside = True
            try:
                return original(*arguments, **options)
            finally:
                self._inside = False

        return call


def _count_macs(counting: ExitStack, done: Work, name: str) -> None:
    original = getattr(hmac.HMAC, name)

    def call(mac: hmac.HMAC) -> Any:
        done.macs += 1
        return original(mac)

    counting.enter_context(mock.patch.object(hmac.HMAC, name, call))
