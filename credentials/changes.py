"""The order in which PostgreSQL tells of changes, and whether one is missing in what was heard."""

from typing import NamedTuple, Self


class Position(NamedTuple):
    """Where in the order of commits a change stands (`credentials.triggers`)."""

    n: int
    mark: str
    """Random: a number that comes twice, because somebody put the counter back or made it up, has another one."""


class Change(NamedTuple):
    """What one notice tells of. All notices of a transaction have one position."""

    position: Position
    tag: str
    """`key:key_…`, `user:usr_…`, `token:tok_…`, or `*` for everything."""

    @classmethod
    def parse(cls, payload: str) -> Self | None:
        """Read the payload of a notice; None for one that no trigger of ours has sent: anyone may send some."""
        number, _, rest = payload.partition(" ")
        mark, _, tag = rest.partition(" ")
        if not (number.isascii() and number.isdigit() and len(number) < 20 and mark and tag):  # noqa: PLR2004  # bigint
            return None
        return cls(Position(int(number), mark), tag)


class HeardChanges:
    """Up to where the changes were heard, without a gap."""

    def __init__(self) -> None:
        self.last: Position | None = None
        """None until it is known where the order begins for this listener."""

    def hear(self, position: Position) -> bool:
        """Note a notice; return False if something before it was missed, or it continues nothing."""
        last, self.last = self.last, position
        return last is None or position == last or position.n == last.n + 1

    def goes_on(self, counter: Position) -> bool:
        """Return whether the counter, read after what was heard, has not gone back; begin anew if it has."""
        if self.last is None or counter.n > self.last.n or counter == self.last:
            return True
        self.last = None
        return False

    def reaches(self, counter: Position) -> bool:
        """Return whether everything up to the counter was heard, which was read before a heartbeat that is back now."""
        if self.last is None:
            self.last = counter
        if self.last.n > counter.n or self.last == counter:
            return True
        self.last = counter
        return False
