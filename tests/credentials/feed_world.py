"""A world of commits, workers and verifiers, in which a test decides what happens when.

Real are the listener, its lease, cache and log (`credentials.verified_cache`), and the store of a verifier
(`keyportal_client.verifying.store`). Made up are PostgreSQL, which delivers notifications in the order of commits, the
network in between, and the time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, cast
from unittest.mock import patch

from credentials.verified_cache.change_log import Cursor as PortalCursor
from credentials.verified_cache.changes import AppliedChanges, Position
from credentials.verified_cache.freshness import Freshness
from credentials.verified_cache.lease import SECONDS
from credentials.verified_cache.listener import Listener
from credentials.verified_cache.trigger_health import DatabaseState
from keyportal_client.verifying.cursor import Cursor
from keyportal_client.verifying.record import Record
from keyportal_client.verifying.store import Changes, Question, RecordStore

KEYS: Final = ("key:1", "key:2", "user:3")
BOUND: Final = 2.0
"""Seconds after the commit of a change from which on nobody may judge by an older record."""
START: Final = 1000.0


class Time:
    """The time, which everybody has from here: one for all worlds, one after the other."""

    now = START


TIME: Final = Time()


@contextmanager
def made_up_time() -> Iterator[None]:
    """Give the real parts this time, and triggers that are always all right."""
    with (
        patch("credentials.verified_cache.clock.now", lambda: TIME.now),
        patch("credentials.verified_cache.listener.faults", lambda cursor: []),
    ):
        yield


class Version(NamedTuple):
    """A record as it was at some time, for verifiers and for workers."""

    key: str
    number: int

    @property
    def tags(self) -> tuple[str, ...]:
        return (self.key,)

    @property
    def is_terminal(self) -> bool:
        return False


class Database:
    """One row for each key, a change counter, and who listens."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.counter = Position(0, "0")
        self.versions = dict.fromkeys(KEYS, 0)
        self.changed_at: dict[Version, float] = {}
        """When a version was replaced."""
        self.schema = 0
        self._numbers = count(1)
        self._earlier: list[tuple[Position, dict[str, int]]] = []

    def commit(self, keys: Sequence[str], *, lost_by: Iterable[int] = ()) -> None:
        """Change rows in one transaction. Some workers may lose its notifications."""
        self._earlier.append((self.counter, dict(self.versions)))
        self.counter = Position(self.counter.n + 1, f"{next(self._numbers):x}")
        self._put(dict.fromkeys(keys, next(self._numbers)))
        for worker in self._world.workers:
            if worker.is_listening and not (worker.place in lost_by and worker.may_lose):
                worker.arriving += [f"{self.counter.n} {self.counter.nonce} {key}" for key in keys]

    def go_back(self, commits: int) -> None:
        """Return to an earlier state, of which nobody is notified.

        No worker loses a notification until it has read the counter: two faults at once could cancel each other out.
        """
        for _ in range(min(commits, len(self._earlier))):
            self.counter, versions = self._earlier.pop()
            self._put(versions)
        for worker in self._world.workers:
            worker.may_lose = False

    def restore(self, commits: int) -> None:
        """Return to an earlier state as a backup or a failover does: with a new start of the server."""
        self.go_back(commits)
        self.schema += 1
        for worker in self._world.workers:
            worker.connect()

    def go_back_without_a_start(self, commits: int) -> None:
        """Return to an earlier state while everybody knows everything, and all workers notice before anybody asks.

        What is asked around that moment is beyond what can be told: docs/change-feed.md, "What can get round it".
        """
        self._world.settle()
        self.go_back(commits)
        for worker in self._world.workers:
            worker.beat()
            worker.receive(len(worker.arriving))

    def change_without_triggers(self, key: str) -> None:
        """Disable the triggers, change a row, and create them anew: only the catalogue shows it."""
        self.schema += 1
        self._put({key: next(self._numbers)})

    def _put(self, versions: Mapping[str, int]) -> None:
        for key, number in versions.items():
            if number != self.versions[key]:
                self.changed_at[Version(key, self.versions[key])] = TIME.now
                self.changed_at.pop(Version(key, number), None)
                self.versions[key] = number


class Worker:
    """A process of the portal: its listener's connection, and the notifications that are on their way."""

    def __init__(self, place: int, world: "World") -> None:
        self.place = place
        self._world = world
        self.freshness = Freshness()
        self.listener = Listener(self.freshness.lease)
        self.arriving: list[str] = []
        self.is_listening = False
        self.may_lose = True
        self._beats = count(1)

    def connect(self) -> None:
        """Begin to listen, for the first time or again."""
        self.disconnect()
        self.listener._heartbeats, self.listener._changes, self.listener._versions = {}, AppliedChanges(), ()
        self.is_listening = True

    def disconnect(self) -> None:
        """Lose the connection, and with it what is on its way."""
        self.arriving, self.is_listening = [], False
        self.freshness.lease.on_listener_stopped()

    def beat(self) -> None:
        """Send a heartbeat, which reads the state of the database."""
        database, payload = self._world.database, f"beat {next(self._beats)}"
        if self.is_listening:
            self.may_lose = True
            state = DatabaseState(database.counter, (database.schema,))
            self.listener._on_read_state(cast("Any", _Connection()), state, payload, TIME.now)
            self.arriving.append(payload)

    def receive(self, amount: int) -> None:
        """Receive so many of the notifications, together."""
        received, self.arriving = self.arriving[:amount], self.arriving[amount:]
        self.listener._on_notifications([payload for payload in received if not payload.startswith("beat")])
        for payload in received:
            if payload.startswith("beat"):
                self.listener._on_own_notification(payload)

    def load(self, key: str) -> Version:
        """Return a record from the cache, or else from the database."""
        fresh = self.freshness
        generation = fresh.cache.generation if fresh.lease.is_held else None
        found = fresh.cache.get_or_load(
            generation, key.encode(), lambda: Version(key, self._world.database.versions[key])
        )
        return cast("Version", found)


@dataclass
class Poll:
    """A poll of the feed, and its answer once there is one."""

    began: float
    answer: Changes | None = None


@dataclass
class Ask:
    """A question about a key, how far it has come."""

    key: str
    question: Question
    cursor: Cursor | None = None
    worker: Worker | None = None
    found: Version | None = None


@dataclass
class Verifier:
    """A process elsewhere."""

    store: RecordStore
    poll: Poll | None = None
    asks: list[Ask] = field(default_factory=list)


class World:
    """Everybody."""

    def __init__(self, *, workers: int = 2, verifiers: int = 2) -> None:
        TIME.now = START
        self.workers: list[Worker] = []
        self.database = Database(self)
        self.workers += [Worker(place, self) for place in range(workers)]
        self.verifiers = [Verifier(RecordStore(now=lambda: TIME.now)) for _ in range(verifiers)]
        self.answered = 0
        """Checks for which there was a record."""

    def pass_quarter(self, places: Sequence[int]) -> None:
        """Let a quarter of a second pass as usual, but only with these workers: verifiers ask the first of them."""
        TIME.now += 0.25
        for place in places:
            self.workers[place].beat()
            self.workers[place].receive(len(self.workers[place].arriving))
        for verifier in self.verifiers:
            self.begin_poll(verifier)
            self.answer_poll(verifier, self.workers[places[0]])
            self.end_poll(verifier, is_lost=False)
            for key in KEYS:
                if verifier.store.get(verifier.store.digest(key)) is None:
                    self.begin_ask(verifier, self.workers[places[0]], key)
                    self.look_up(verifier.asks[-1])
                    self.end_ask(verifier, place=-1)

    def settle(self) -> None:
        """Let everything arrive, and everybody know everything."""
        for verifier in self.verifiers:
            self.end_poll(verifier, is_lost=True)
            verifier.asks.clear()
        for _ in range(4):
            self.pass_quarter(range(len(self.workers)))

    def begin_poll(self, verifier: Verifier) -> None:
        """Begin a poll, unless one is under way."""
        if verifier.poll is None:
            verifier.poll = Poll(TIME.now)

    def answer_poll(self, verifier: Verifier, worker: Worker) -> None:
        """Let a worker answer, as `ChangeFeed.changes_since` does."""
        poll, lease = verifier.poll, worker.freshness.lease
        if poll is None or poll.answer is not None or lease.known_up_to is None:
            return
        age = TIME.now - lease.known_up_to
        own = verifier.store.cursor
        news = lease.log.since(_portal_cursor(own) if own else None)
        if news is not None:
            tags = None if news.tags is None else tuple(news.tags)
            age = age if news.is_up_to_date else max(age, SECONDS)
            poll.answer = Changes(Cursor.parse(str(news.cursor)), age, tags)

    def end_poll(self, verifier: Verifier, *, is_lost: bool) -> None:
        """Let the answer arrive, or not."""
        poll, verifier.poll = verifier.poll, None
        if poll is not None and poll.answer is not None and not is_lost:
            verifier.store.apply_changes(poll.answer, began=poll.began)

    def begin_ask(self, verifier: Verifier, worker: Worker, key: str) -> None:
        """Ask about a key: the worker reads its cursor first, as `VerifyCall` does."""
        lease = worker.freshness.lease
        cursor = Cursor.parse(str(lease.log.head)) if lease.is_held and lease.log.head else None
        verifier.asks.append(Ask(key, verifier.store.begin(), cursor, worker))

    def look_up(self, ask: Ask) -> None:
        """Let the worker find the record."""
        if ask.found is None and ask.worker is not None:
            ask.found = ask.worker.load(ask.key)

    def end_ask(self, verifier: Verifier, *, place: int) -> None:
        """Let the answer to one of the questions arrive."""
        ask = verifier.asks.pop(place)
        if ask.found is not None and ask.cursor is not None:
            store = verifier.store
            store.put(
                store.digest(ask.key), as_record(ask.found), ask.question, cursor=ask.cursor, portal_time=TIME.now
            )

    def check(self) -> None:
        """Judge all keys at all verifiers: none may do it by a record that changed too long ago."""
        for verifier in self.verifiers:
            for key in KEYS:
                record = verifier.store.get(verifier.store.digest(key))
                self.answered += record is not None
                version = None if record is None else version_of(record)
                replaced_at = self.database.changed_at.get(version) if version else None
                assert replaced_at is None or TIME.now < replaced_at + BOUND, f"{version} is judged by"


class _Connection:
    """A connection of a listener, as far as it asks which database it leads to: always the same one."""

    def cursor(self) -> Any:
        return SimpleNamespace(execute=lambda *given: None, fetchone=lambda: ("1", 1, [1]))


def as_record(version: Version) -> Record:
    """Return a version as a record of the client."""
    return cast("Record", SimpleNamespace(tags=version.tags, version=version))


def version_of(record: Record) -> Version:
    version: Version = cast("Any", record).version
    return version


def _portal_cursor(cursor: Cursor) -> PortalCursor | None:
    return PortalCursor.parse(cursor.text)
