"""Calls are counted until the portal has stored them, each of them once."""

import json

import pytest

from gateway import usage_request
from gateway.usage_request import parse_body
from keyportal_client.verifying.reports import HOUR, MAX_CALLS, MAX_COUNTERS, MAX_ENTRIES, MAX_HOURS, Reports
from tests.clients.verifying.samples import KEY, OWNER, SECONDS
from tests.parallel import all_at_once
from tests.waiting import wait_until

pytestmark = pytest.mark.once

SECRET = "sec_2wE7rTy4Ui1OpA9sD6fGhj"


def test_calls_that_agree_are_counted_together() -> None:
    reports = Reports("reports")
    for at in (SECONDS, SECONDS + HOUR - 1):
        reports.count(at, "accepted", KEY, SECRET, "192.0.2.7")
    reports.count(SECONDS + HOUR, "accepted", KEY, SECRET, "192.0.2.7")
    reports.count(SECONDS, "paused", KEY)
    batch = reports.batch(SECONDS)
    assert batch is not None
    same = {"credential": KEY, "entry_point": "reports", "outcome": "accepted"}
    where = {"secret": SECRET, "addresses": ["192.0.2.7"]}
    assert batch["calls"] == [
        {**same, "hour": "2026-03-01T11:00:00Z", "count": 2, **where},
        {**same, "hour": "2026-03-01T12:00:00Z", "count": 1, **where},
        {**same, "outcome": "paused", "hour": "2026-03-01T11:00:00Z", "count": 1},
    ]


def test_a_batch_is_the_same_until_it_is_stored() -> None:
    reports = Reports("reports")
    assert reports.batch(SECONDS) is None
    reports.count(SECONDS, "accepted", KEY)
    first = reports.batch(SECONDS)
    reports.count(SECONDS, "accepted", OWNER)
    assert first is not None
    assert reports.batch(SECONDS) is first
    reports.stored()
    second = reports.batch(SECONDS)
    assert second is not None
    assert (second["batch"] == first["batch"], [calls["credential"] for calls in second["calls"]]) == (False, [OWNER])
    reports.stored()
    assert reports.batch(SECONDS) is None


def test_a_large_number_of_credentials_takes_several_batches() -> None:
    reports = Reports("reports")
    for number in range(MAX_ENTRIES + 1):
        reports.count(SECONDS, "accepted", f"key_{number}")
    sizes = []
    while batch := reports.batch(SECONDS):
        sizes.append(len(batch["calls"]))
        reports.stored()
    assert sizes == [usage_request.MAX_CALLS, 1]


def test_many_addresses_are_not_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_COUNTERS > 1000
    monkeypatch.setattr("keyportal_client.verifying.reports.MAX_COUNTERS", 2)
    reports = Reports("reports")
    for number in range(5):
        reports.count(SECONDS, "accepted", KEY, SECRET, f"192.0.2.{number}")
    batch = reports.batch(SECONDS)
    assert batch is not None
    assert [(calls["count"], calls.get("addresses")) for calls in batch["calls"]] == [
        (1, ["192.0.2.0"]),
        (1, ["192.0.2.1"]),
        (3, None),
    ]


def test_calls_are_summed_up_before_they_take_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyportal_client.verifying.reports.MAX_CALLS", 4)
    reports = Reports("reports")
    for _ in range(11):
        reports.count(SECONDS, "accepted", KEY)
    assert len(reports._calls) == 3
    batch = reports.batch(SECONDS)
    assert batch is not None
    assert [calls["count"] for calls in batch["calls"]] == [11]


def test_of_calls_in_many_threads_each_is_counted_while_batches_are_taken() -> None:
    reports, threads, each = Reports("reports"), 8, 3 * MAX_CALLS + 1
    sums = all_at_once(threads + 1, lambda number: _count(reports, each) if number else _taken(reports, threads * each))
    assert sum(sums) == threads * each


def _count(reports: Reports, calls: int) -> int:
    for _ in range(calls):
        reports.count(SECONDS, "accepted", KEY)
    return 0


def _taken(reports: Reports, calls: int) -> int:
    """Return how many calls batches held, of so many that are counted meanwhile."""
    taken = 0

    def take() -> bool:
        nonlocal taken
        batch = reports.batch(SECONDS)
        taken += sum(entry["count"] for entry in batch["calls"]) if batch else 0
        reports.stored()
        return taken >= calls

    wait_until(take)
    return taken


def test_what_the_portal_would_not_take_any_more_is_dropped() -> None:
    reports = Reports("reports")
    reports.count(SECONDS, "accepted", KEY)
    reports.count(SECONDS + HOUR, "accepted", KEY)
    batch = reports.batch(SECONDS + (MAX_HOURS + 1) * HOUR)
    assert batch is not None
    assert [calls["hour"] for calls in batch["calls"]] == ["2026-03-01T12:00:00Z"]


def test_it_is_dropped_also_while_a_batch_is_not_taken() -> None:
    reports = Reports("reports")
    reports.count(SECONDS, "accepted", KEY)
    stuck = reports.batch(SECONDS)
    for hour in range(MAX_HOURS + 5):
        reports.count(SECONDS + hour * HOUR, "accepted", OWNER)
        assert reports.batch(SECONDS + hour * HOUR) is stuck
    reports.stored()
    batch = reports.batch(SECONDS + (MAX_HOURS + 4) * HOUR)
    assert batch is not None
    assert len(batch["calls"]) == MAX_HOURS + 1


@pytest.mark.parametrize("hours", [0, MAX_HOURS + 0.999])
def test_the_portal_takes_a_batch_of_any_age_that_is_sent(hours: float) -> None:
    reports = Reports("reports")
    reports.count(SECONDS, "network_refused", KEY)
    reports.count(SECONDS, "accepted", OWNER, address="2001:db8::1")
    batch = reports.batch(SECONDS + hours * HOUR)
    parsed = parse_body(json.dumps(batch).encode(), now=SECONDS + hours * HOUR)
    assert [calls.amount for calls in parsed.calls] == [1, 1]
