"""This host: its clock, its disks, and the limits of the process."""

import ctypes
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.conf import settings

from apikeys.models import APIKey
from keyportal.doctor.findings import Finding, note, problem, warning
from keyportal.doctor.sqlite import DISK, LEAST_FREE
from keyportal.http_server.server import DESCRIPTORS, MAX_CONNECTIONS
from keyportal.metrics.worker_files import worker_files

BYTES_A_WORKER: Final = 150 * 1024 * 1024
LIMITS_OF_MEMORY: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
TIME_ERROR: Final = 5
"""What adjtimex(2) returns while the clock is not synchronized."""

FEW_DESCRIPTORS = warning(
    "few_descriptors",
    meaning="A worker can keep fewer connections than it is made for, and closes those that are idle.",
    advice="Raise the hard limit of open files (`LimitNOFILE=` of the systemd unit, `ulimit -Hn`).",
)
NO_CLOCK = note(
    "clock_not_synchronized",
    meaning="This host decides by its clock when overlaps, pauses and keys end.",
    advice="Run systemd-timesyncd or chrony, unless the host's clock is kept in step from outside.",
)
UNWRITABLE = problem(
    "folder_unwritable",
    meaning="The portal can't write what belongs there.",
    advice="Give the folder to the portal's user, and list it in ReadWritePaths= of the systemd unit.",
)
NO_WORKERS = warning(
    "no_workers",
    meaning="No worker of this host has reported its metrics in the last half minute.",
    advice="Start the server, and look at its log if it ends.",
)


APART = warning(
    "counts_apart",
    meaning="Each worker counts for itself, so a key gets its limit several times.",
    advice="Set CACHE_URL to a Redis or Valkey that all workers of all hosts share.",
)
LITTLE_MEMORY = warning(
    "little_memory",
    meaning="When memory runs out, the system kills workers, or this host gets very slow.",
    advice="Give the host or the container more memory, or start fewer workers (docs/scaling.md).",
)


def examine() -> Iterator[Finding]:
    """Yield what this host lacks. Limits are those of this command: run it as the portal is run."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < MAX_CONNECTIONS + DESCRIPTORS:
        yield FEW_DESCRIPTORS.found(f"At most {hard} files can be open.")
    if not _clock_is_synchronized():
        yield NO_CLOCK.found("The kernel says that this host's clock is not synchronized.")
    yield from _folders()
    yield from _workers()
    if (memory := _memory()) and memory < settings.KEYPORTAL_WORKERS * BYTES_A_WORKER:
        yield LITTLE_MEMORY.found(f"This host has {memory // 1024**2} MB of memory for all that runs on it.")


def _workers() -> Iterator[Finding]:
    """Yield what is wrong with how many workers there are. Raises `django.db.Error`."""
    count = settings.KEYPORTAL_WORKERS
    if settings.KEYPORTAL_METRICS_NETWORKS:
        count = sum(worker.is_alive for worker in worker_files().read())
        if not count:
            yield NO_WORKERS.found("There are no workers on this host.")
    has_limits = settings.KEYPORTAL_RATE_LIMIT or APIKey.objects.exclude(rate_limit="").exists()
    if count > 1 and has_limits and not settings.CACHE_URL:
        yield APART.found(f"There are {count} workers and rate limits, but no CACHE_URL.")


def _memory() -> int:
    """Return the bytes of memory that this host or its container may use; 0 if that can't be told."""
    texts = (path.read_text().strip() for path in LIMITS_OF_MEMORY if path.is_file())
    limits = [int(text) for text in texts if text.isdigit()]
    return min([*limits, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")])


def _clock_is_synchronized() -> bool:
    """Return what the kernel says, or True where it can't be asked."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    return adjtimex is None or adjtimex(ctypes.create_string_buffer(1024)) != TIME_ERROR  # no mode: it only reads


def _folders() -> Iterator[Finding]:
    folders = {"the metrics (KEYPORTAL_METRICS_DIR)": Path(settings.KEYPORTAL_METRICS_DIR)}
    for name, folder in folders.items():
        if not _is_writable(folder):
            yield UNWRITABLE.found(f"The folder of {name} can't be written to.")
        elif shutil.disk_usage(folder).free < LEAST_FREE:
            yield DISK.found(f"The disk of {name} is almost full.")


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return os.access(folder, os.W_OK)
    except OSError:
        return False
