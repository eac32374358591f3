"""The change feed of a portal that has one worker and forgets nothing (docs/change-feed.md of the project)."""

import secrets

from keyportal_client.errors import UnexpectedAnswerError
from keyportal_client.verifying.cursor import Cursor


class ChangeLog:
    """The changes so far, in their order."""

    def __init__(self) -> None:
        self._identity = secrets.token_hex(8)
        self._nonce = secrets.token_hex(8)
        self._tags: list[str] = []

    @property
    def cursor(self) -> str:
        """The place after all changes."""
        return f"{self._identity}.{len(self._tags)}.0.{self._nonce}"

    def add(self, tag: str) -> None:
        """Note that what has this tag has changed."""
        self._tags.append(tag)

    def since(self, text: str | None) -> list[str] | None:
        """Return what has changed since a cursor; None if that can't be told."""
        try:
            cursor = Cursor.parse(text)
        except UnexpectedAnswerError:
            return None
        number = cursor.place[0]
        if cursor.identity != self._identity or number > len(self._tags):
            return None
        return sorted(set(self._tags[number:]))
