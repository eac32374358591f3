"""Admission: what a call is counted as, by its verdict, and what a limit says; the same at every entry point."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from apikeys import services
from apikeys.verification import verify
from audit.client_address import parse_address
from credentials import admission
from credentials.admission import Admission, count_call
from credentials.limits.rate_limiter import RateLimiter
from credentials.record import VerifiedRecord
from credentials.refusals import RefusedError, refusal_error
from credentials.runtime.errors import WouldBlockError
from credentials.usage.counters import BOUNDS, usage_counters
from tests.conftest import ORIGIN, MakeKey
from tests.limits import START, Clock, clock

__all__ = ["clock"]  # a fixture

pytestmark = pytest.mark.django_db
HERE = parse_address("192.0.2.7")
Calls = list[tuple[str, str, str, str, object, int]]


@pytest.fixture
def record(make_key: MakeKey) -> VerifiedRecord:
    """The record of a key with a limit of its own."""
    key, secret = make_key()
    services.set_rate_limit(key=key, limit="2/minute", origin=ORIGIN)
    usage_counters().drain()
    return verify(secret, address=HERE)


def counted() -> Calls:
    """Return what was counted of credentials since the last look."""
    return [
        (key.entry_point, key.outcome, key.credential, key.secret, key.address, calls.count)
        for key, calls in usage_counters().drain().items()
    ]


def verdicts(entry_point: str) -> Mapping[str, int]:
    """Return how many verdicts were counted at an entry point, by outcome."""
    durations = usage_counters().durations
    return {outcome: sum(found.buckets) for (where, outcome), found in durations.items() if where == entry_point}


def test_an_accepted_call_is_counted_with_its_secret_and_address(record: VerifiedRecord) -> None:
    with Admission("accepting", HERE) as admission:
        assert admission.accept(record) is not None
        assert counted() == []  # not before the call has ended well
    assert counted() == [("accepting", "accepted", record.counted_as, record.secret_id, HERE, 1)]
    assert verdicts("accepting") == {"accepted": 1}


def test_a_call_beyond_the_limit_is_refused_and_counted_as_such(record: VerifiedRecord, clock: Clock) -> None:
    left = []
    for second in (0, 10):
        clock.move_to(START + second, tick=False)
        with Admission("limited", HERE) as admission:
            quota = admission.accept(record)
        left.append(quota and (quota.policy, quota.remaining, quota.reset))
    assert left == [("key", 1, 60), ("key", 0, 50)]
    counted()
    clock.move_to(START + 15, tick=False)
    with pytest.raises(RefusedError) as caught, Admission("limited", HERE) as admission:
        admission.accept(record)
    refusal = caught.value.refusal
    assert (refusal.code, refusal.counted_as, refusal.retry_after) == ("rate_limited", record.counted_as, 45)
    assert refusal.about == {"key": record.credential.id, "name": record.credential.name}
    assert refusal.headers == {"RateLimit-Policy": '"key";q=2;w=60', "RateLimit": '"key";r=0;t=45'}
    assert counted() == [("limited", "rate_limited", record.counted_as, "", None, 1)]
    assert verdicts("limited") == {"accepted": 2, "rate_limited": 1}


def test_a_call_that_is_not_limited_uses_nothing_up(record: VerifiedRecord, clock: Clock) -> None:
    for _ in range(3):
        with Admission("free", HERE) as admission:
            assert admission.accept(record, limited=False) is None
    with Admission("free", HERE) as admission:
        quota = admission.accept(record)
        assert quota is not None
        assert quota.remaining == 1
    assert [call[-1] for call in counted()] == [4]


@pytest.mark.parametrize(
    ("error", "outcome", "credential"),
    [
        (refusal_error("paused", counted_as="key_1"), "paused", "key_1"),
        (refusal_error("invalid_token"), "invalid_token", ""),
        (OperationalError(), "unavailable", ""),
        (InterfaceError(), "unavailable", ""),
    ],
    ids=["of a key", "unknown", "database", "connection"],
)
def test_a_call_without_a_good_verdict_is_counted_by_its_reason(
    error: Exception, outcome: str, credential: str, request: pytest.FixtureRequest
) -> None:
    entry_point = request.node.name
    usage_counters().drain()
    with pytest.raises(type(error)), Admission(entry_point, HERE):
        raise error
    assert verdicts(entry_point) == {outcome: 1}
    assert counted() == ([(entry_point, outcome, credential, "", None, 1)] if credential else [])


def fail_after(_: object, error: Exception) -> None:
    raise error


@pytest.mark.parametrize("error", [WouldBlockError(), ValueError()], ids=["would block", "a fault"])
def test_a_call_without_a_verdict_is_not_counted(record: VerifiedRecord, error: Exception) -> None:
    call = Admission("nothing", HERE)
    with pytest.raises(type(error)), call:
        fail_after(call.accept(record), error)
    with Admission("nothing", HERE):
        pass  # no credential was accepted
    assert (counted(), verdicts("nothing")) == ([], {})


def test_only_a_call_that_may_wait_asks_a_shared_store(record: VerifiedRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    class Limiter(RateLimiter):
        def hit(self, name: str, rate_limit: str, *, may_block: bool = True) -> None:
            asked.append((name, rate_limit, may_block))

    asked: list[tuple[str, str, bool]] = []
    monkeypatch.setattr(admission, "rate_limiter", Limiter)
    for given in ({}, {"may_block": True}, {"may_block": False}):
        with Admission("waiting", HERE) as call:
            call.accept(record, **given)
    assert [may_block for *_, may_block in asked] == [True, True, False]
    assert {(name, limit) for name, limit, _ in asked} == {(record.counted_as, "2/minute")}


@pytest.mark.parametrize(("took", "bucket"), [(0.0, 0), (0.002, 5), (3.0, len(BOUNDS))])
def test_the_time_from_the_start_of_the_call_is_counted(
    monkeypatch: pytest.MonkeyPatch, took: float, bucket: int
) -> None:
    now = iter([100.0, 100.0 + took])
    monkeypatch.setattr(admission, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    with pytest.raises(RefusedError), Admission(f"took {took}", None):
        raise refusal_error("paused")
    durations = usage_counters().durations[f"took {took}", "paused"]
    assert durations.buckets[bucket] == 1
    assert durations.seconds == pytest.approx(took)


def test_the_first_count_starts_what_writes_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[Any] = []

    class Background:
        def start(self) -> None:
            starts.append(self)

    monkeypatch.setattr(admission, "background", Background)
    admission._start_background.cache_clear()
    for _ in range(3):
        count_call("starting", "paused", 0.1)
    admission._start_background.cache_clear()
    assert len(starts) == 1
