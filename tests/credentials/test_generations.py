"""The generation of the verified cache, by which a record that was loaded before a change is kept out."""

from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from credentials.verified_cache.cache import VerifiedCache
from credentials.verified_cache.freshness import Freshness
from credentials.verified_cache.lease import Lease
from tests.credentials.sqlite_connections import Connections, commit_elsewhere, connection

__all__ = ["connection"]  # a fixture

pytestmark = pytest.mark.once
RECORD = SimpleNamespace(tags=("key:1",), is_terminal=False)
CHANGES = {"drop": lambda cache: cache.drop({"key:2"}), "clear": VerifiedCache.clear}


@pytest.mark.parametrize("changes", [*product(CHANGES), *product(CHANGES, repeat=2), *product(CHANGES, repeat=3)])
def test_no_change_makes_up_for_another(changes: tuple[str, ...]) -> None:
    cache = VerifiedCache()
    generation = cache.generation
    for change in changes:
        CHANGES[change](cache)
    assert not cache.put(b"1", RECORD, generation=generation, loaded_at=0.0)
    assert cache.put(b"1", RECORD, generation=cache.generation, loaded_at=0.0)


def test_hits_are_added_up_wherever_the_record_was_found() -> None:
    cache = VerifiedCache()
    for _ in range(2):
        cache.get_or_load(cache.generation, b"1", lambda: RECORD)
        cache.count_hit()
    assert (cache.hits, cache.misses) == (3, 1)


def test_without_a_log_beside_the_file_a_commit_is_seen_all_the_same(connection: Connections) -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode = DELETE")
    fresh = Freshness()
    first = fresh.current()
    assert first is not None
    assert fresh.current() == first
    commit_elsewhere(connection, 1)
    assert fresh.current() != first
    assert not fresh.is_known_current()


@pytest.mark.parametrize(("alias", "vendor"), [("default", "sqlite"), ("other", "postgresql"), ("other", "sqlite")])
def test_only_connections_to_the_portal_s_own_database_are_compared(
    monkeypatch: pytest.MonkeyPatch, alias: str, vendor: str
) -> None:
    compared: list[object] = []
    monkeypatch.setattr(Lease, "compare", lambda *given: compared.append(given))
    made: Any = SimpleNamespace(alias=alias, vendor=vendor)
    Freshness()._on_connection_created(connection=made)
    assert compared == []
