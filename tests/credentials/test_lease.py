"""Freshness on PostgreSQL: how long a lease holds, what ends it, and what waits for a change."""

import pytest
from django.test import Client

from credentials.verified_cache import freshness
from credentials.verified_cache.freshness import Freshness
from tests.credentials.leases import Leased, leased

__all__ = ["leased"]

pytestmark = pytest.mark.once  # the other database has a listener: test_listener_cut_off


def test_without_a_lease_one_listener_is_started_and_then_woken(leased: Leased) -> None:
    fresh, listeners, _ = leased
    assert [fresh.current() for _ in range(3)] == [None] * 3
    [listener] = listeners
    assert (listener.lease, listener.calls) == (fresh.lease, ["start", "abort_if_stale", "abort_if_stale"])


def test_a_lease_holds_for_two_seconds_from_what_was_heard_and_no_moment_longer(leased: Leased) -> None:
    fresh, listeners, clock = leased
    assert fresh.current() is None
    fresh.lease.renew(since=999.0)
    assert fresh.current() == fresh.cache.generation
    clock[0] = 1000.999
    assert fresh.current() == fresh.cache.generation
    clock[0] = 1001.0
    assert fresh.current() is None
    assert len(listeners) == 1


def test_the_cache_is_known_current_for_as_long_as_the_lease(leased: Leased, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, _, clock = leased
    monkeypatch.setattr(freshness, "confirm_rings", lambda: None)
    fresh.confirm_rings()
    assert not fresh.is_known_current()
    fresh.lease.renew(since=999.0)
    assert fresh.is_known_current()
    clock[0] = 1001.0
    assert not fresh.is_known_current()
    fresh.lease.renew(since=1000.5)
    assert fresh.is_known_current()
    fresh.lease.switch_database()
    fresh.lease.renew(since=1001.5)
    assert not fresh.is_known_current()  # whose rings nobody has compared


def test_a_lease_that_is_lost_is_over_at_once_and_everything_is_forgotten(leased: Leased) -> None:
    fresh, _, _ = leased
    fresh.lease.renew(since=1000.0)
    before = fresh.current()
    assert before is not None
    fresh.lease.revoke()
    assert fresh.current() is None
    fresh.lease.renew(since=1000.0)  # a heartbeat from before
    assert fresh.current() is None
    fresh.lease.renew(since=1000.001)
    assert fresh.current() not in (before, None)


def test_an_answer_waits_for_its_change_only_while_somebody_listens(leased: Leased) -> None:
    fresh, listeners, clock = leased
    fresh.wait_until_applied()  # nobody listens yet
    fresh.current()
    fresh.wait_until_applied()  # somebody does, and has no lease
    assert listeners[0].calls == ["start"]
    fresh.lease.renew(since=1000.0)
    fresh.wait_until_applied()
    assert listeners[0].calls == ["start", "wait_until_applied"]
    assert fresh.lease.until == 0.0  # it was not heard in time
    fresh.lease.renew(since=1000.5)
    clock[0] = 1002.5
    fresh.wait_until_applied()
    assert listeners[0].calls == ["start", "wait_until_applied"]


@pytest.mark.django_db
def test_only_the_answer_to_what_may_change_something_waits(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    monkeypatch.setattr(freshness.freshness(), "wait_until_applied", lambda: waited.append("for it"))
    assert client.get("/accounts/login/", secure=True).status_code == 200
    assert waited == []
    assert client.post("/theme/", {"theme": "dark"}, secure=True).status_code == 302
    assert waited == ["for it"]


def test_a_new_lease_has_no_fault_and_no_disagreement() -> None:
    fresh = Freshness()
    assert (fresh.lease.fault, fresh.lease.disagreement) == (None, "")


def test_the_rings_are_compared_once_with_each_database(leased: Leased, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, _, _ = leased
    compared: list[str] = []
    monkeypatch.setattr(freshness, "confirm_rings", lambda: compared.append("the database"))
    for _ in range(2):
        fresh.confirm_rings()
    assert len(compared) == 1
    fresh.lease.switch_database()
    for _ in range(2):
        fresh.confirm_rings()
    assert len(compared) == 2
