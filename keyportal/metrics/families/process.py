"""Metrics of the workers as processes."""

import platform
import resource
import time
from pathlib import Path
from typing import Final

from keyportal import VERSION
from keyportal.logs import line_counts
from keyportal.metrics.metric import Combine, Labels, counter, gauge

_PAGE: Final = resource.getpagesize()
_STATM: Final = Path("/proc/self/statm")
_DESCRIPTORS: Final = Path("/proc/self/fd")


def _resident_memory() -> int | None:
    """Return the bytes of memory of this process; None where there is no `/proc`."""
    return int(_STATM.read_text().split()[1]) * _PAGE if _STATM.exists() else None


def _open_descriptors() -> int | None:
    return len(list(_DESCRIPTORS.iterdir())) if _DESCRIPTORS.exists() else None


def _log_lines() -> dict[Labels, int]:
    return {(level,): count for level, count in line_counts.levels.items()}


METRICS: Final = (
    gauge(
        "keyportal_workers",
        says="Workers on this machine that reported in the last half minute.",
        advice="Fewer than configured: look for gunicorn's lines in the log.",
        read=lambda: 1,
        combine=Combine.SUM,
    ),
    counter(
        "keyportal_workers_started_total",
        says="Workers that have started since the folder of metrics was made.",
        advice="Rising without a restart of yours: workers die. Look for gunicorn's lines in the log.",
        read=lambda: 1,
    ),
    gauge(
        "keyportal_build_info",
        says="1, with the version of the portal and of Python.",
        advice="Two versions: a worker of before has not ended yet.",
        read=lambda: {(VERSION, platform.python_version()): 1},
        combine=Combine.MAX,
        labels=("version", "python"),
    ),
    gauge(
        "keyportal_resident_memory_bytes",
        says="Resident memory of the largest worker. Much of it is shared by all.",
        advice="Rising for days: lower KEYPORTAL_CACHE_ENTRIES, and report it.",
        read=_resident_memory,
        combine=Combine.MAX,
    ),
    counter(
        "keyportal_cpu_seconds_total",
        says="CPU time of the workers.",
        advice="Near one second a second for each worker: add workers (docs/scaling.md).",
        read=time.process_time,
    ),
    gauge(
        "keyportal_open_descriptors",
        says="Open file descriptors of the worker that has most.",
        advice="Near the limit: see `keyportal_connections`.",
        read=_open_descriptors,
        combine=Combine.MAX,
    ),
    gauge(
        "keyportal_descriptor_limit",
        says="The lowest limit of descriptors of a worker.",
        advice="Below 8,192: raise it (`LimitNOFILE` of systemd).",
        read=lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        combine=Combine.MIN,
    ),
    counter(
        "keyportal_log_lines_total",
        says="Lines in the log that warn of something or report an error.",
        advice="Rising: read them; “Log lines” below has each.",
        read=_log_lines,
        labels=("level",),
    ),
    counter(
        "keyportal_integrity_violations_total",
        says="Lines in the log that begin with `integrity_violation`: a row is not as the portal wrote it.",
        advice="Any: somebody changed the database outside the portal. Find out who, before anything else.",
        read=lambda: line_counts.integrity_violations,
    ),
)
