"""What a key's recent calls say about its allowed networks: a dry run of a list, and networks to choose from.

Only accepted calls count: a list of networks changes nothing about the others.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from ipaddress import ip_network
from typing import Final, NamedTuple

from django.conf import settings
from django.db.models import Max, Sum
from django.utils import timezone

from apikeys.networks import MAX_NETWORKS, NEVER_A_CLIENT, is_within
from apikeys.usage import DAYS
from audit.client_address import IPV6, Address, Network, parse_address
from credentials.usage.models import AddressUsage

MAX_ROWS: Final = 50
"""The refused addresses that a dry run lists; it counts the others."""
SEVERAL: Final = 3
"""From so many neighbours on, their network is suggested; with fewer, each address."""
IPV4_NEIGHBOURS: Final = 24
IPV6_NEIGHBOURS: Final = 64
"""The prefix of a network of neighbours, which is the widest that is suggested."""


class AddressCalls(NamedTuple):
    """The calls from one address."""

    address: Address
    calls: int
    last_on: date
    """The day of the last call, in UTC."""


@dataclass(frozen=True, slots=True)
class RecentCalls:
    """The accepted calls of a key in the last days, by address."""

    days: int
    by_address: tuple[AddressCalls, ...]
    """The address with the most calls first."""
    unknown: int
    """Calls whose address is unknown: they had none, or came from more addresses than are told apart."""

    @property
    def total(self) -> int:
        """The number of calls."""
        return sum(row.calls for row in self.by_address) + self.unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a list of networks would have done to the recent calls."""

    days: int
    kept: int
    refused: int
    unknown: int
    """Calls of which nobody can say, because their address is unknown. Without an address, they would be refused."""
    rows: tuple[AddressCalls, ...]
    """Where refused calls came from, the address with the most calls first."""
    more: int
    """The number of further addresses."""

    @property
    def known(self) -> int:
        """The number of calls of which the list decides."""
        return self.kept + self.refused

    @property
    def total(self) -> int:
        """The number of calls."""
        return self.known + self.unknown

    @property
    def addresses(self) -> int:
        """The number of addresses that refused calls came from."""
        return len(self.rows) + self.more

    @property
    def is_harmless(self) -> bool:
        """Whether the list would have kept every call for certain."""
        return not (self.refused or self.unknown)


class Suggestion(NamedTuple):
    """A network that calls came from."""

    network: Network
    addresses: int
    """The number of addresses in it that calls came from."""
    calls: int
    share: str
    """Its share of all calls, in words."""

    @property
    def joins_several(self) -> bool:
        """Whether it stands for several addresses."""
        return self.addresses > 1


def recent_calls(key_id: str) -> RecentCalls:
    """Return the accepted calls of a key in the last 30 days, or as long as usage is kept; one query."""
    days = min(DAYS, settings.KEYPORTAL_USAGE_DAYS)
    since = timezone.now().date() - timedelta(days=days - 1)
    rows = AddressUsage.objects.filter(credential=key_id, day__gte=since).values_list("address")
    summed = rows.annotate(calls=Sum("count"), last_on=Max("day")).order_by("-calls", "address")
    read = [(parse_address(address), calls, last_on) for address, calls, last_on in summed]
    return RecentCalls(
        days=days,
        by_address=tuple(AddressCalls(address, calls, last_on) for address, calls, last_on in read if address),
        unknown=sum(calls for address, calls, _ in read if not address),
    )


def dry_run(recent: RecentCalls, networks: Sequence[Network]) -> DryRun:
    """Return what the list would have done to these calls. An empty list allows any address, and calls without one."""
    refused = [row for row in recent.by_address if networks and not any(row.address in network for network in networks)]
    refused_calls = sum(row.calls for row in refused)
    unknown = recent.unknown if networks else 0
    return DryRun(
        days=recent.days,
        kept=recent.total - refused_calls - unknown,
        refused=refused_calls,
        unknown=unknown,
        rows=tuple(refused[:MAX_ROWS]),
        more=len(refused[MAX_ROWS:]),
    )


def suggestions(recent: RecentCalls) -> list[Suggestion]:
    """Return the fewest networks that these calls came from: addresses, or a /24 or /64 of several neighbours.

    The one with the most calls is first. There are no more than a list may have.
    """
    found = [
        Suggestion(network, len(rows), calls, share_of(calls, recent.total))
        for network, rows in _neighbours(recent)
        if (calls := sum(row.calls for row in rows)) and not is_within(network, NEVER_A_CLIENT)
    ]
    return sorted(found, key=lambda suggestion: -suggestion.calls)[:MAX_NETWORKS]


def share_of(calls: int, total: int) -> str:
    """Return a share as a percentage in words, rounded down: only all calls are 100%."""
    percent = 100 * calls // total
    return f"{percent}%" if percent else "less than 1%"


def _neighbours(recent: RecentCalls) -> Iterator[tuple[Network, list[AddressCalls]]]:
    """Yield each network to suggest, with the calls from its addresses."""
    by_network: defaultdict[Network, list[AddressCalls]] = defaultdict(list)
    for row in recent.by_address:
        prefix = IPV6_NEIGHBOURS if row.address.version == IPV6 else IPV4_NEIGHBOURS
        by_network[ip_network((row.address, prefix), strict=False)].append(row)
    for network, rows in by_network.items():
        if len(rows) >= SEVERAL:
            yield network, rows
        else:
            yield from ((ip_network(row.address), [row]) for row in rows)
