"""Signals that would end the command: handled in a block, or held until what was begun in it can't be lost."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Handler = Callable[[int, FrameType | None], None]


@contextmanager
def handling(signals: Sequence[signal.Signals], handler: Handler) -> Iterator[None]:
    """Handle signals in a block, but none that the command was started to ignore, as `nohup` does with SIGHUP."""
    heeded = [signum for signum in signals if signal.getsignal(signum) is not signal.SIG_IGN]
    former = {signum: signal.signal(signum, handler) for signum in heeded}
    try:
        yield
    finally:
        for signum, before in former.items():
            signal.signal(signum, before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold signals that would end the process until the block has ended: a token is spent, or a program started."""
    caught: list[int] = []

    def remember(signum: int, frame: FrameType | None) -> None:
        caught.append(signum)

    try:
        with handling(SIGNALS, remember):
            yield
    finally:
        if caught:
            signal.raise_signal(caught[0])
