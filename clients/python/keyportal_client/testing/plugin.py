"""The plugin for pytest: the fixtures `keyportal`, a portal in memory, and `api_key`, which makes keys of it."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import pytest

from keyportal_client import testing
from keyportal_client.testing.environment import remember, set_where_unset

if TYPE_CHECKING:
    from keyportal_client.testing import ApiKey, InMemoryPortal


class MakeKey(Protocol):
    """The type of the fixture `api_key`."""

    def __call__(
        self,
        scopes: Collection[str] = (),
        *,
        environment: str = "live",
        networks: Collection[str] = (),
        expires_at: datetime | timedelta | None = None,
        name: str = "a key",
    ) -> "ApiKey":
        """Create a key. `expires_at` is a moment, or how far it is from now."""


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Let services be imported that make their verifier at once: its portal is there in tests with the fixture."""
    early_config.add_cleanup(set_where_unset())


@pytest.fixture
def keyportal(monkeypatch: pytest.MonkeyPatch) -> "Iterator[InMemoryPortal]":
    """Answer all verifiers of this process from a portal in memory, which is new for each test."""
    remember(monkeypatch)
    with testing.in_memory_portal() as portal:
        yield portal


@pytest.fixture
def api_key(keyportal: "InMemoryPortal") -> MakeKey:
    """Make a key: `api_key(scopes=["reports:read"])`."""
    return keyportal.api_key
