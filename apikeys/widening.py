"""Find out what a change to a key widens: more rights, more addresses, more time, or more calls than it had.

Pages require a fresh log-in before such a change, and the verbs notify the owner of it. Narrowing needs neither.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from ipaddress import collapse_addresses
from typing import Any, Final

from django.conf import settings
from limits import RateLimitItem

from apikeys.models import APIKey
from audit.client_address import Network, parse_network
from credentials.limits.rate_limit_text import parse_rate_limit

HARMLESS: Final = frozenset({"name", "version", "paused_reason", "notice_at"})
"""Fields that give no right."""


def widened_columns(key: APIKey, changes: Mapping[str, object]) -> list[str]:
    """Return the names of the columns that these changes make wider than they are in `key`.

    A column that is missing from `COMPARISONS` counts as wider whenever it changes, until its comparison is added.
    """
    return sorted(
        field
        for field, after in changes.items()
        if field not in HARMLESS and COMPARISONS.get(field, _differs)(getattr(key, field), after)
    )


def edited_columns(
    *, name: str, scopes: Collection[str], networks: Sequence[str], expires_at: datetime | None
) -> dict[str, object]:
    """Return the column values that an edit writes, in the form in which the database keeps them."""
    return {
        "name": name,
        "scopes": " ".join(sorted(set(scopes))),
        "networks": " ".join(networks),
        "expires_at": expires_at,
    }


def _differs(before: object, after: object) -> bool:
    return before != after


def _adds_a_scope(before: str, after: str) -> bool:
    return not set(after.split()) <= set(before.split())


def _lets_more_addresses_in(before: str, after: str) -> bool:
    try:
        return not is_within_networks(after.split(), before.split())
    except ValueError:
        return before != after  # the row was not written by the portal, and the verb refuses to change it


def is_within_networks(requested: Sequence[str], allowed: Sequence[str]) -> bool:
    """Return whether the allowed networks contain all requested ones. No networks stand for any address.

    Compares by containment, not by text. Raises ValueError for text that is not a network.
    """
    if not allowed:
        return True
    outer = [parse_network(text) for text in allowed]
    return bool(requested) and all(_is_within(parse_network(text), outer) for text in requested)


def _is_within(network: Network, allowed: Sequence[Network]) -> bool:
    # Join neighbours first: two allowed networks may together cover one that neither contains alone.
    blocks: Any = collapse_addresses([other for other in allowed if other.version == network.version])
    return any(network.subnet_of(block) for block in blocks)


def _ends_later(before: datetime | None, after: datetime | None) -> bool:
    """Compare only the moments: giving an expired key a new expiry makes it end later, which is wider."""
    return before is not None and (after is None or after > before)


def allows_more_calls(before: str, after: str) -> bool:
    """Compare how many calls each allows in the window of `before`. An empty limit is the portal's default."""
    limit = _limit(after)
    try:
        was = _limit(before)
    except ValueError:
        return before != after  # as above
    if was is None or limit is None:
        return was is not None
    # The new limit starts over this often within the former window.
    windows = math.ceil(was.get_expiry() / limit.get_expiry())
    return limit.amount * windows > was.amount


def _limit(text: str) -> RateLimitItem | None:
    text = text or settings.KEYPORTAL_RATE_LIMIT
    return parse_rate_limit(text) if text else None


def _lifts(before: datetime | None, after: datetime | None) -> bool:
    return before is not None and after is None


def _ends_earlier(before: datetime | None, after: datetime | None) -> bool:
    return after is not None and (before is None or after < before)


def _is_dropped(before: bool, after: bool) -> bool:
    return before and not after


COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "scopes": _adds_a_scope,
    "networks": _lets_more_addresses_in,
    "expires_at": _ends_later,
    "rate_limit": allows_more_calls,
    "paused_at": _lifts,
    "paused_until": _ends_earlier,
    "paused_by_operator": _is_dropped,
    "revoked_at": _lifts,
}
