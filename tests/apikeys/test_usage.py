"""What is read of the counted calls, for pages."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from apikeys import usage
from apikeys.usage import CallSeries, OutcomeCount, RecentUsage, Unit
from credentials.usage.models import SourceAddress, Usage

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 9, 9, 59, 30, tzinfo=UTC)
THIS_HOUR = NOW.replace(minute=0, second=0)
TODAY = THIS_HOUR.replace(hour=0)


@pytest.fixture(autouse=True)
def _morning() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def count(key_id: str, hour: datetime, calls: int = 1, outcome: str = "accepted", entry_point: str = "api") -> None:
    Usage.objects.create(credential=key_id, hour=hour, entry_point=entry_point, outcome=outcome, count=calls)


def see(key_id: str, at: datetime, address: str = "192.0.2.1", secret: str = "sec_1") -> None:
    SourceAddress.objects.create(credential=key_id, secret=secret, address=address, first_at=at, last_at=at)


def counted(series: CallSeries) -> dict[datetime, tuple[int, int]]:
    return {interval.at: (interval.accepted, interval.refused) for interval in series.intervals if interval.calls}


def test_calls_by_day_are_those_of_thirty_days_of_utc() -> None:
    first = TODAY - timedelta(days=29)
    count("a", THIS_HOUR, 1)
    count("a", TODAY, 2, "expired")
    count("a", TODAY - timedelta(hours=1), 4, "paused")
    count("a", TODAY - timedelta(hours=1), 8)
    count("a", TODAY - timedelta(hours=1), 16, entry_point="verify")
    count("a", first, 32)
    count("a", first - timedelta(hours=1), 64)
    series = usage.calls_by_day(["a"])["a"]
    assert counted(series) == {TODAY: (1, 2), TODAY - timedelta(days=1): (24, 4), first: (32, 0)}
    assert (series.unit, len(series.intervals), series.since) == (Unit.DAY, 30, first)
    assert (series.calls, series.refused) == (63, 6)


def test_calls_by_hour_are_those_of_forty_eight_hours() -> None:
    first = THIS_HOUR - timedelta(hours=47)
    count("a", THIS_HOUR, 1)
    count("a", THIS_HOUR - timedelta(hours=1), 2, "expired")
    count("a", first, 4)
    count("a", first - timedelta(hours=1), 8)
    series = usage.calls_by_hour("a")
    assert counted(series) == {THIS_HOUR: (1, 0), THIS_HOUR - timedelta(hours=1): (0, 2), first: (4, 0)}
    assert (series.unit, len(series.intervals), series.since) == (Unit.HOUR, 48, first)


def test_each_key_has_calls_of_its_own_and_many_keys_cost_one_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    count("a", THIS_HOUR, 1)
    count("b", THIS_HOUR, 2)
    with django_assert_num_queries(1):
        series = usage.calls_by_day(["a", "b", *(f"key {number}" for number in range(100))])
    assert (series["a"].calls, series["b"].calls, series["key 7"].calls) == (1, 2, 0)
    assert usage.calls_by_hour("a").calls == 1


def test_outcomes_are_summed_and_the_most_frequent_is_first() -> None:
    count("a", THIS_HOUR, 2)
    count("a", THIS_HOUR, 3, entry_point="verify")
    count("a", TODAY, 7, "expired")
    count("a", TODAY, 7, "bad_network")
    count("a", TODAY - timedelta(days=1), 100, "paused")
    count("b", THIS_HOUR, 100, "paused")
    found = usage.outcomes("a", since=TODAY)
    assert found == [OutcomeCount("bad_network", 7), OutcomeCount("expired", 7), OutcomeCount("accepted", 5)]
    assert [outcome.is_accepted for outcome in found] == [False, False, True]


def test_the_last_use_is_the_newest_of_all_addresses() -> None:
    see("a", NOW - timedelta(hours=1), "192.0.2.1", secret="sec_1")
    see("a", NOW - timedelta(hours=2), "192.0.2.2", secret="sec_1")
    see("a", NOW - timedelta(hours=3), "192.0.2.1", secret="sec_2")
    see("b", NOW, "192.0.2.1", secret="sec_3")
    used = {"sec_1": NOW - timedelta(hours=1), "sec_2": NOW - timedelta(hours=3)}
    assert usage.last_uses(["a", "c"]) == {"a": used, "c": {}}


def test_recent_usage_is_that_of_a_day() -> None:
    count("a", NOW - timedelta(hours=23), 3)
    count("a", NOW - timedelta(hours=24), 4, "expired")
    count("a", NOW - timedelta(hours=25), 100)
    see("a", NOW - timedelta(hours=1), "192.0.2.1", secret="sec_1")
    see("a", NOW - timedelta(hours=2), "192.0.2.1", secret="sec_2")
    see("a", NOW - timedelta(hours=25), "192.0.2.9", secret="sec_2")
    assert usage.recent_usage(["a", "b"]) == {"a": RecentUsage(7, 1), "b": RecentUsage(0, 0)}


@pytest.mark.parametrize(
    ("recent", "words"),
    [
        (RecentUsage(0, 0), "0 calls in the last 24 hours"),
        (RecentUsage(1, 0), "1 call in the last 24 hours"),
        (RecentUsage(1, 1), "1 call in the last 24 hours from 1 address"),
        (RecentUsage(1200, 3), "1,200 calls in the last 24 hours from 3 addresses"),
    ],
)
def test_recent_usage_in_words(recent: RecentUsage, words: str) -> None:
    assert recent.words == words
