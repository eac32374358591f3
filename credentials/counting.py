"""Count verdicts."""

from audit.client_address import Address
from credentials.background import background
from credentials.usage.counters import usage_counters


def count_call(
    entry_point: str,
    outcome: str,
    seconds: float,
    *,
    credential: str = "",
    secret: str = "",
    address: Address | None = None,
) -> None:
    """Count a verdict in memory, and make sure that the counts are written in time."""
    usage_counters().count(entry_point, outcome, seconds, credential=credential, secret=secret, address=address)
    background().start()
