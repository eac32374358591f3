"""A clock that stands still until a test moves it."""


class Clock:
    """Seconds from an arbitrary start."""

    def __init__(self, at: float = 1000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def pass_by(self, seconds: float) -> None:
        """Move it."""
        self.at += seconds
