"""Metrics that each worker writes to a file, for the worker that serves `/metrics`."""

import fcntl
import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from django.conf import settings

from keyportal.local.private_files import open_private, private_folder
from keyportal.metrics.snapshot import Snapshot, own_snapshot, total

logger = logging.getLogger(__name__)

EXITED_AFTER: Final = 300.0  # seconds after which a file's metrics are added to those of all ended workers
OF_EXITED: Final = "exited.json"


class WorkerFiles:
    """The folder of the files, and this worker's file in it."""

    def __init__(self) -> None:
        self.own = f"{secrets.token_hex(8)}.json"
        self._tidied = False

    def write_snapshot(self) -> Snapshot:
        """Write this worker's current metrics to its file, if any network may read them, and return them."""
        metrics = own_snapshot()
        if not settings.KEYPORTAL_METRICS_NETWORKS:
            return metrics
        try:
            folder = _folder()
            if not self._tidied:
                self._tidied = True
                _merge_exited(folder)
            _write(folder / self.own, metrics)
        except OSError as error:
            logger.warning("metrics can't be written to %s: %s", settings.KEYPORTAL_METRICS_DIR, error)
        return metrics

    def read(self) -> list[Snapshot]:
        """Return the metrics of the other workers."""
        folder = _folder()
        with _lock_folder(folder, fcntl.LOCK_SH):
            return [metrics for path, metrics in _files(folder) if path.name != self.own]


@cache
def worker_files() -> WorkerFiles:
    """Return the files, as this process sees them: each process has a file of its own."""
    return WorkerFiles()


os.register_at_fork(after_in_child=worker_files.cache_clear)


def all_workers() -> list[Snapshot]:
    """Return the metrics of all workers: this one's current ones, and the files of the others.

    This worker writes its file first, so that another worker does not report less a moment later.
    """
    own = worker_files().write_snapshot()
    try:
        others = worker_files().read()
    except OSError as error:
        logger.warning("metrics can't be read from %s: %s", settings.KEYPORTAL_METRICS_DIR, error)
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


def _files(folder: Path) -> list[tuple[Path, Snapshot]]:
    found = []
    for path in folder.glob("*.json"):
        try:
            found.append((path, Snapshot.of_json(path.read_text())))
        except FileNotFoundError:
            continue  # just added to those of the ended workers
        except (ValueError, KeyError, TypeError):
            logger.warning("%s holds no metrics of this version", path)
    return found


def _write(path: Path, metrics: Snapshot) -> None:
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
