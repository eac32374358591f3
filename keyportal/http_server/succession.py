"""A port is never left without a worker: after SIGHUP those of before go on until one of the new ones listens.

gunicorn ends them as soon as the new ones are born. Two bytes that its processes share say more.
"""

import mmap
from typing import Final

_ASKED: Final = 0
_LISTENING: Final = 1
_shared: Final = mmap.mmap(-1, 2)


def begin() -> None:
    """Have every worker replaced. For gunicorn's main process, before it makes new ones."""
    _shared[_ASKED] = (_shared[_ASKED] + 1) % 256


def generation() -> int:
    """Return which generation of workers is being made, by the number of replacements before."""
    return _shared[_ASKED]


def announce(own: int) -> None:
    """Say that a worker of this generation listens."""
    if own == generation():
        _shared[_LISTENING] = own


def may_end(own: int) -> bool:
    """Return whether a worker of this generation may stop listening: it is not being replaced, or has been."""
    return generation() in (own, _shared[_LISTENING])
