"""Moments as the portal writes them, and as a verifier compares them."""

from typing import NamedTuple

from keyportal_client.times import time_of


class Moment(NamedTuple):
    """A moment in both forms."""

    seconds: float
    """Since 1970."""
    text: str

    @classmethod
    def parse(cls, text: str) -> "Moment":
        """Return the moment. Raises ValueError, OverflowError."""
        return cls(time_of(text).timestamp(), text)
