"""The cases of clients/verdicts.json: which credentials are judged when, and with what a request needs.

The portal's own check makes the cases, and everybody who judges by records runs them: the Python client and the nginx
module. So a change of the check changes the file, and fails their tests until they follow.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any, Final, NamedTuple

T: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""The moment around which everything happens."""
TICK: Final = timedelta(microseconds=1)
LEEWAY: Final = timedelta(seconds=30)
KEY: Final = "key_4fT9vQm2Zx7LbN0cR8wYsd"
OWNER: Final = "usr_7hJ2kPq9Xc4VtB1nM6zRsd"
CATALOGUE: Final = ("billing:read", "reports:read", "reports:write")

Fact = Mapping[str, Mapping[str, Any]]
"""The columns of a key, its secret, its owner, or the claims of a token that differ from those of a good one."""
FACTS: Final[Mapping[str, Fact]] = {
    "good": {},
    "revoked": {"key": {"revoked_at": T - timedelta(days=1, microseconds=250), "revoked_reason": "the server is gone"}},
    "revoked without a reason": {"key": {"revoked_at": T + timedelta(days=1)}},
    "expiring": {"key": {"expires_at": T}},
    "replaced": {"secret": {"replaced_at": T - timedelta(days=1), "retires_at": T}},
    "paused": {"key": {"paused_at": T - timedelta(hours=1)}},
    "paused for a reason": {"key": {"paused_at": T - timedelta(hours=1), "paused_reason": "looking into odd calls"}},
    "paused for a while": {"key": {"paused_at": T - timedelta(hours=1), "paused_until": T}},
    "of an inactive owner": {"owner": {"is_active": False}},
    "of an unconfirmed owner": {"owner": {"confirmed_at": None}},
    "for test data": {"key": {"environment": "test"}, "claims": {"environment": "test"}},
    "from one network": {"key": {"networks": "203.0.113.0/25"}},
    "without scopes": {"key": {"scopes": ""}, "claims": {"scope": ""}},
}
"""What can be true of a credential."""
NETWORKS: Final = (
    "198.51.100.0/24 203.0.113.7/32",
    "0.0.0.0/0",
    "::/0",
    "2001:db8::/33",
    "2001:db8::7/128 203.0.113.0/31",
    "203.0.112.0/20",
    "128.0.0.0/1",
)
ADDRESSES: Final = (
    "203.0.113.7", "203.0.113.127", "203.0.113.128", "203.0.113.1", "203.0.128.0", "198.51.100.255", "192.0.2.1",
    "127.255.255.255", "2001:db8::7", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff", "2001:db8:8000::",
    "2001:DB8:0:0:0:0:0:7", "::1", "::ffff:203.0.113.7", "fe80::1", None,
)  # fmt: skip
MOMENTS: Final = (T - LEEWAY, T - TICK, T, T + TICK, T + LEEWAY - TICK, T + LEEWAY, T + timedelta(days=400))


class Request(NamedTuple):
    """Where a call comes from, and what it needs."""

    client_ip: str | None = None
    scopes: tuple[str, ...] = ()
    environment: str | None = None


PLAIN: Final = Request("203.0.113.7")
STRICT: Final = Request("192.0.2.1", ("billing:read",), "live")
"""A call from elsewhere that needs what no credential here has."""
REQUESTS: Final = (
    Request("203.0.113.7", ("reports:read",)),
    Request("203.0.113.7", ("reports:write", "reports:read")),
    Request("203.0.113.7", ("reports:read", "billing:read")),
    Request("203.0.113.7", ("Reports:read",)),
    Request("203.0.113.7", ("reports",)),
    Request("203.0.113.7", (), "live"),
    Request("203.0.113.7", (), "test"),
    Request("203.0.113.7", ("reports:read",), "live"),
    STRICT,
)


def cases() -> Iterator[tuple[str, Fact, datetime, Request]]:
    """Yield the name of a record, what it is made from, and when and with what it is judged."""
    for fact, changed in FACTS.items():
        for kind in ("key", "token of a key", "token of a log-in"):
            yield from ((f"{kind}: {fact}", changed, at, PLAIN) for at in MOMENTS)
            yield from ((f"{kind}: {fact}", changed, T - TICK, request) for request in REQUESTS)
    for one, other in combinations(FACTS, 2):  # which of two reasons comes first
        both, changed = f"{one}, {other}", _both(FACTS[one], FACTS[other])
        for at in (T - TICK, T):
            yield from ((f"key: {both}", changed, at, request) for request in (PLAIN, STRICT))
        yield (f"token of a key: {both}", changed, T, STRICT)
    for networks in NETWORKS:
        changed = {"key": {"networks": networks}}
        yield from ((f"key: from {networks}", changed, T, Request(address)) for address in ADDRESSES)


def _both(one: Fact, other: Fact) -> Fact:
    return {part: {**one.get(part, {}), **other.get(part, {})} for part in {**one, **other}}
