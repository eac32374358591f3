"""What one verifier has in one process: records, counts, the feed's thread, and connections. No two share it."""

from typing import NamedTuple

from keyportal_client.verifying.access import Access
from keyportal_client.verifying.clock import Clock
from keyportal_client.verifying.feed import TIMEOUT, Feed
from keyportal_client.verifying.jws import HAS_JWT
from keyportal_client.verifying.key_set import KeySet
from keyportal_client.verifying.line import Line
from keyportal_client.verifying.screening import Screening
from keyportal_client.verifying.verdicts import Verdicts


class Settings(NamedTuple):
    """What a verifier was made with."""

    access: Access
    service: str
    """The entry point under which its calls are counted."""
    audience: str | None
    """The service that tokens must be for; None for the portal's own."""


class ProcessState:
    """Made anew after a fork, and after the verifier was closed."""

    def __init__(self, settings: Settings, *, now: Clock) -> None:
        access = settings.access
        audience = settings.audience or str(access.portal)
        screening = Screening(KeySet(now=now), audience=audience) if HAS_JWT else None
        self.verdicts = Verdicts(settings.service, settings.audience, screening=screening, now=now)
        self.line = Line(access, timeout=access.timeout)
        polls = Line(access, timeout=min(access.timeout, TIMEOUT))
        verdicts = self.verdicts
        self.feed = Feed(polls, verdicts.store, verdicts.reports, verdicts.health.faults, now=now)

    def end(self, within: float) -> None:
        """Close the connections, and have the last counts sent, for so many seconds at most. Waits for nothing."""
        self.feed.end(within)
        self.line.close()

    def close(self, within: float) -> None:
        """Do the same, and wait until the counts are sent."""
        self.end(within)
        self.feed.join(within)
