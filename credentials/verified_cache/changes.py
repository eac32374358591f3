"""The order in which PostgreSQL delivers changes, and how a listener detects that it missed one."""

from typing import NamedTuple, Self


class Position(NamedTuple):
    """The place of a change in the order of commits (`credentials.verified_cache.triggers`)."""

    n: int
    nonce: str
    """Random, so that a number that occurs twice, because the counter was set back or forged, can be told apart."""


class Change(NamedTuple):
    """The change that one notification announces. All notifications of a transaction have the same position."""

    position: Position
    tag: str
    """The record that changed: `key:key_…`, `user:usr_…` or `token:tok_…`; `*` for all of them."""

    @classmethod
    def parse(cls, payload: str) -> Self | None:
        """Return the change in a notification's payload, or None if it is not our triggers': any role may notify."""
        number, _, rest = payload.partition(" ")
        nonce, _, tag = rest.partition(" ")
        if not (number.isascii() and number.isdigit() and len(number) < 20 and nonce and tag):  # noqa: PLR2004  # bigint
            return None
        return cls(Position(int(number), nonce), tag)


class AppliedChanges:
    """The position up to which notifications arrived without a gap."""

    def __init__(self) -> None:
        self.last: Position | None = None
        """None until the listener knows where the order begins for it."""

    def on_notification(self, position: Position) -> bool:
        """Store the position of a notification; return False if it does not follow the last one without a gap."""
        last, self.last = self.last, position
        return last is None or position == last or position.n == last.n + 1

    def goes_on(self, counter: Position) -> bool:
        """Return whether the counter, read after the last notification, has not gone back; start over if it has."""
        if self.last is None or counter.n > self.last.n or counter == self.last:
            return True
        self.last = None
        return False

    def reaches(self, counter: Position) -> bool:
        """Return whether everything up to this counter has arrived. It was read when that heartbeat was sent."""
        if self.last is None:
            self.last = counter
        if self.last.n > counter.n or self.last == counter:
            return True
        self.last = counter
        return False
