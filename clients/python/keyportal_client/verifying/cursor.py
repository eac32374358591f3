"""The place up to which a verifier has heard of changes (docs/change-feed.md of the project)."""

import re
from typing import Final, NamedTuple

from keyportal_client.errors import UnexpectedAnswerError

_FORM: Final = re.compile(r"([0-9a-f]{16})\.([0-9]{1,19})\.([0-9]{1,9})\.[0-9a-f-]{1,36}")


class Cursor(NamedTuple):
    """A cursor of the change feed."""

    identity: str
    """What its order rests on. Cursors with different ones can't be compared."""
    place: tuple[int, int]
    text: str

    @classmethod
    def parse(cls, text: object) -> "Cursor":
        """Return the cursor. Raises `UnexpectedAnswerError`."""
        found = _FORM.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise UnexpectedAnswerError("The portal's answer has no cursor that this client knows.")
        return cls(found[1], (int(found[2]), int(found[3])), found[0])

    def is_before(self, other: "Cursor") -> bool:
        """Return whether a worker that gives this cursor may know less than one that gave the other."""
        return self.identity != other.identity or self.place < other.place
