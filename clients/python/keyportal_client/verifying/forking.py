"""What is made anew in the child of a fork: it has the threads, connections and locks of its parent no more."""

import os
import weakref
from typing import Final, Protocol


class Forgetful(Protocol):
    """What has a state of its own in each process."""

    def begin_anew(self) -> None:
        """Forget what was the parent's. No other thread runs."""


_all: Final[weakref.WeakSet[Forgetful]] = weakref.WeakSet()


def begin_anew_after_forks(one: Forgetful) -> None:
    """Have this begin anew in every child, as long as it is there."""
    _all.add(one)


def _begin_anew() -> None:
    for one in list(_all):
        one.begin_anew()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no forks
    os.register_at_fork(after_in_child=_begin_anew)
