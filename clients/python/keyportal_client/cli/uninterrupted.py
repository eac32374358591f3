"""A moment in which Ctrl-C has to wait, because what was begun would be lost: a spent token, a started program."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold signals that would end the process until the block has ended."""
    caught: list[int] = []

    def remember(signum: int, frame: FrameType | None) -> None:
        caught.append(signum)

    former = {signum: signal.signal(signum, remember) for signum in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler)
        if caught:
            signal.raise_signal(caught[0])
