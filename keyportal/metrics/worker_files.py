"""Metrics that each worker writes to a file, for the worker that serves `/metrics`."""

import fcntl
import json
import logging
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import connection

from accounts.sending import counts
from credentials.runtime.database_writes import database_writes
from credentials.usage.counters import Durations, usage_counters
from credentials.usage.flusher import flusher
from credentials.verified_cache import clock
from credentials.verified_cache.feed import change_feed
from credentials.verified_cache.freshness import freshness
from keyportal.http_server.load import meter
from keyportal.local.private_files import open_private, private_folder
from keyportal.mailer import mailer

logger = logging.getLogger(__name__)

ALIVE: Final = 30.0  # seconds; a worker writes every few
EXITED_AFTER: Final = 300.0  # seconds after which a file's metrics are added to those of all ended workers
OF_EXITED: Final = "exited.json"
COUNTERS: Final = (
    *("hits", "misses", "verdicts_refused", "others_refused", "late"),
    *("messages_sent", "messages_failed", "messages_given_up"),
)
"""The counters, which `total` adds up."""


@dataclass
class WorkerMetrics:
    """The metrics of one worker."""

    durations: dict[tuple[str, str], Durations] = field(default_factory=dict)
    """By entry point and outcome."""
    hits: int = 0
    misses: int = 0
    entries: int = 0
    lease: float | None = None
    """Seconds; None if no lease is needed."""
    triggers_in_place: bool | None = None
    """Whether the triggers that announce changes are in place; None if that is unknown."""
    writable: bool = True
    """Whether the database accepted the last write."""
    lag: float = 0.0
    """Seconds since everything that was counted had been written."""
    verdicts_in_progress: int = 0
    others_in_progress: int = 0
    verdicts_refused: int = 0
    others_refused: int = 0
    late: int = 0
    connections: int = 0
    body_bytes: int = 0
    """The load on the server: `keyportal.http_server.load`."""
    messages_sent: int = 0
    messages_failed: int = 0
    """Failed attempts to send one."""
    messages_given_up: int = 0
    messages_waiting: int = 0
    """By this worker's last count; all workers count the same ones."""
    messages_wait: float = 0.0
    """Seconds for which the oldest of them has waited."""
    at: float = 0.0
    """The time of these metrics, in seconds since 1970."""

    @property
    def is_alive(self) -> bool:
        """Whether the worker has written recently."""
        return time.time() - self.at < ALIVE

    def as_json(self) -> str:
        """Return the content of a file."""
        durations = [
            [entry_point, outcome, asdict(took)] for (entry_point, outcome), took in list(self.durations.items())
        ]
        return json.dumps({**vars(self), "durations": durations})

    @classmethod
    def of_json(cls, text: str) -> "WorkerMetrics":
        """Return the metrics from a file's content. Raises ValueError, KeyError or TypeError for any other content."""
        members: dict[str, Any] = json.loads(text)
        durations = {
            (entry_point, outcome): Durations(**took) for entry_point, outcome, took in members.pop("durations")
        }
        return cls(durations=durations, **members)


def own_metrics() -> WorkerMetrics:
    """Return this worker's current metrics."""
    cache, now = freshness().cache, clock.now()
    return WorkerMetrics(
        durations=dict(usage_counters().durations),  # a copy, because it grows meanwhile
        hits=cache.hits,
        misses=cache.misses,
        entries=len(cache),
        lease=max(0.0, freshness().lease.until - now) if connection.vendor == "postgresql" else None,
        triggers_in_place=None if change_feed().fault is None else not change_feed().fault,
        writable=not database_writes().fault,
        lag=flusher().lag,
        **asdict(meter().read()),
        messages_sent=counts().sent,
        messages_failed=counts().failed,
        messages_given_up=counts().given_up,
        messages_waiting=mailer().backlog.waiting,
        messages_wait=mailer().backlog.longest_wait,
        at=time.time(),
    )


def total(workers: Sequence[WorkerMetrics]) -> WorkerMetrics:
    """Return the sums of the counters, which are all that can be added up."""
    added = WorkerMetrics()
    for worker in workers:
        for name in COUNTERS:
            setattr(added, name, getattr(added, name) + getattr(worker, name))
        for what, took in worker.durations.items():
            so_far = added.durations.get(what, Durations())
            classes = [a + b for a, b in zip(so_far.buckets, took.buckets, strict=True)]
            added.durations[what] = Durations(classes, so_far.seconds + took.seconds)
    return added


class WorkerFiles:
    """The folder of the files, and this worker's file in it."""

    def __init__(self) -> None:
        self.own = f"{secrets.token_hex(8)}.json"
        self._tidied = False

    def write_snapshot(self) -> WorkerMetrics:
        """Write this worker's current metrics to its file, if any network may read them, and return them."""
        metrics = own_metrics()
        if not settings.KEYPORTAL_METRICS_NETWORKS:
            return metrics
        try:
            folder = _folder()
            if not self._tidied:
                self._tidied = True
                _merge_exited(folder)
            _write(folder / self.own, metrics)
        except OSError as error:
            logger.warning("metrics can't be written to %s: %s", settings.KEYPORTAL_METRICS_DIR, type(error).__name__)
        return metrics

    def read(self) -> list[WorkerMetrics]:
        """Return the metrics of the other workers."""
        folder = _folder()
        with _lock_folder(folder, fcntl.LOCK_SH):
            return [metrics for path, metrics in _files(folder) if path.name != self.own]


@cache
def worker_files() -> WorkerFiles:
    """Return the files, as this process sees them: each process has a file of its own."""
    return WorkerFiles()


os.register_at_fork(after_in_child=worker_files.cache_clear)


def all_workers() -> list[WorkerMetrics]:
    """Return the metrics of all workers: this one's current ones, and the files of the others.

    This worker writes its file first, so that another worker does not report less a moment later.
    """
    own = worker_files().write_snapshot()
    try:
        others = worker_files().read()
    except OSError as error:
        logger.warning("metrics can't be read from %s: %s", settings.KEYPORTAL_METRICS_DIR, type(error).__name__)
        others = []
    return [own, *others]


def _folder() -> Path:
    return private_folder(Path(settings.KEYPORTAL_METRICS_DIR), "*.json", "*.new", "lock")


@contextmanager
def _lock_folder(folder: Path, how: int) -> Iterator[None]:
    """Hold the folder's lock, so that no reader finds metrics both in a file and in the sum it was added to."""
    with open(folder / "lock", "w", opener=open_private) as lock:
        fcntl.flock(lock, how)
        yield


def _files(folder: Path) -> list[tuple[Path, WorkerMetrics]]:
    found = []
    for path in folder.glob("*.json"):
        try:
            found.append((path, WorkerMetrics.of_json(path.read_text())))
        except FileNotFoundError:
            continue  # just added to those of the ended workers
        except (ValueError, KeyError, TypeError):
            logger.warning("%s holds no metrics of this version", path)
    return found


def _write(path: Path, metrics: WorkerMetrics) -> None:
    """Replace a file atomically, so that a reader never finds half of one."""
    new = path.with_suffix(f".{secrets.token_hex(4)}.new")
    with open(new, "w", opener=open_private) as file:
        file.write(metrics.as_json())
    new.replace(path)


def _merge_exited(folder: Path) -> None:
    """Merge the files of workers that have ended into one."""
    with _lock_folder(folder, fcntl.LOCK_EX):
        exited = [(path, metrics) for path, metrics in _files(folder) if time.time() - metrics.at > EXITED_AFTER]
        _write(folder / OF_EXITED, total([metrics for _, metrics in exited]))
        for path, _ in exited:
            if path.name != OF_EXITED:
                path.unlink()
