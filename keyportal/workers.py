"""Which of the server's workers speaks for all of them: each reads the same settings and finds the same in them."""

import multiprocessing
from collections.abc import Mapping


def is_first() -> bool:
    """Tell whether this process is the first that Granian has started, or none of its workers."""
    return _position() <= 1


def speaks_for_all(process: Mapping[str, str]) -> bool:
    """Tell whether this process says why it can't start: the first worker, or one that replaces another later on."""
    workers = process.get("GRANIAN_WORKERS", "").strip()
    together = int(workers) if workers.isascii() and workers.isdigit() else 1
    return is_first() or _position() > together


def _position() -> int:
    # Granian gives its workers one name; the count of a process's children is nowhere public.
    identity: tuple[int, ...] = multiprocessing.current_process()._identity
    return identity[-1] if identity else 0
