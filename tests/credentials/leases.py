"""A freshness on PostgreSQL without PostgreSQL: its lease, its listeners, and a clock that the test moves."""

from types import SimpleNamespace
from typing import Any

import pytest

from credentials.verified_cache.freshness import Freshness
from credentials.verified_cache.lease import Lease


class FakeListener:
    """What a listener is to the freshness under test: it hears nothing and keeps a list of its calls."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda: self.calls.append(name)


@pytest.fixture
def leased(monkeypatch: pytest.MonkeyPatch) -> tuple[Freshness, list[FakeListener], list[float]]:
    """A freshness on PostgreSQL, the listeners that it makes, and a clock that the test moves."""
    line = SimpleNamespace(vendor="postgresql", in_atomic_block=False, close=lambda: None)
    listeners: list[FakeListener] = []
    clock = [1000.0]
    monkeypatch.setattr("credentials.verified_cache.freshness.connections", {"default": line})

    def make_listener(of: Lease) -> FakeListener:
        listeners.append(FakeListener(of))
        return listeners[-1]

    monkeypatch.setattr("credentials.verified_cache.freshness.Listener", make_listener)
    monkeypatch.setattr("credentials.verified_cache.clock.now", lambda: clock[0])
    fresh = Freshness()
    return fresh, listeners, clock


Leased = tuple[Freshness, list[FakeListener], list[float]]
