"""Accepted calls are counted by address and day, up to a bound, with few statements, and forgotten after a month."""

import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from audit.client_address import parse_address
from credentials.usage.counters import CallCount, CounterKey
from credentials.usage.models import AddressUsage, SourceAddress
from credentials.usage.services import ADDRESSES_A_DAY, add_usage
from keyportal.purge import purge

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TODAY = NOON.date()
HERE = "192.0.2.7"
Calls = dict[CounterKey, CallCount]


def calls(
    count: int = 1,
    *,
    address: str = HERE,
    at: datetime = NOON,
    credential: str = "key_1",
    secret: str = "sec_1",
    entry_point: str = "api",
    outcome: str = "accepted",
) -> Calls:
    """Return what the counters have for so many calls."""
    hour = int(at.timestamp() // 3600)
    counted = CallCount(at.timestamp())
    counted.count = count
    return {CounterKey(hour, entry_point, outcome, credential, secret, parse_address(address)): counted}


def nth(number: int) -> str:
    return f"2001:db8::1:{number:x}"


def from_many(first: int, count: int, credential: str = "key_1") -> Calls:
    """Return two calls from the last of so many addresses, and one more from each that comes before."""
    together: Calls = {}
    for number in range(first, first + count):
        together |= calls(1 + first + count - number, address=nth(number), credential=credential)
    return together


def add(*batches: Mapping[CounterKey, CallCount]) -> None:
    for batch in batches:
        add_usage(batch_id=secrets.token_hex(16), calls=batch)


def counted(credential: str = "key_1") -> dict[tuple[date, str], int]:
    rows = AddressUsage.objects.filter(credential=credential).values_list("day", "address", "count")
    return {(day, address): count for day, address, count in rows}


def test_accepted_calls_are_summed_by_day_and_address_whatever_else_they_differ_in() -> None:
    late = NOON.replace(hour=23, minute=59)
    add(
        {
            **calls(3),
            **calls(4, at=late),
            **calls(5, secret="sec_2"),
            **calls(6, secret="", entry_point="verify"),
            **calls(7, address="2001:db8::1"),
            **calls(8, at=late + timedelta(minutes=1)),
            **calls(100, outcome="paused"),
            **calls(9, credential="key_2"),
        },
        calls(10),
    )
    assert counted() == {(TODAY, HERE): 28, (TODAY, "2001:db8::1"): 7, (TODAY + timedelta(days=1), HERE): 8}
    assert counted("key_2") == {(TODAY, HERE): 9}


def test_calls_from_nowhere_are_counted_without_an_address() -> None:
    add(calls(2, address=""), calls(3, address=""))
    assert counted() == {(TODAY, ""): 5}


def test_a_batch_that_comes_twice_counts_once() -> None:
    for _ in range(2):
        add_usage(batch_id="one", calls=calls(2))
    assert counted() == {(TODAY, HERE): 2}


def test_beyond_so_many_addresses_a_day_the_busiest_of_a_batch_are_told_apart() -> None:
    batch = from_many(0, ADDRESSES_A_DAY + 30)
    add(batch)
    found = counted()
    assert len(found) == ADDRESSES_A_DAY + 1
    assert set(found) - {(TODAY, "")} == {(TODAY, nth(number)) for number in range(ADDRESSES_A_DAY)}
    assert found[TODAY, ""] == sum(range(2, 32))
    assert sum(found.values()) == sum(call.count for call in batch.values())


def test_addresses_that_are_told_apart_stay_so_and_new_ones_are_counted_together() -> None:
    add(from_many(0, ADDRESSES_A_DAY - 1), {**from_many(300, 3), **calls(50, address=nth(0))})
    found = counted()
    assert len(found) == ADDRESSES_A_DAY + 1
    assert found[TODAY, nth(0)] == ADDRESSES_A_DAY + 50
    assert found[TODAY, nth(300)] == 4  # the busiest of the three, for which there was room
    assert found[TODAY, ""] == 3 + 2
    add(calls(7), calls(9, address=nth(1)))
    assert counted()[TODAY, ""] == 3 + 2 + 7
    assert counted()[TODAY, nth(1)] == ADDRESSES_A_DAY - 1 + 9


def test_the_bound_is_that_of_one_credential_and_one_day() -> None:
    tomorrow = calls(1, address="198.51.100.1", at=NOON + timedelta(days=1))
    add(from_many(0, ADDRESSES_A_DAY), from_many(0, ADDRESSES_A_DAY, credential="key_2"))
    add({**tomorrow, **calls(1, address="198.51.100.1", credential="key_3")})
    assert (TODAY, "") not in counted()
    assert len(counted("key_2")) == ADDRESSES_A_DAY
    assert counted()[TODAY + timedelta(days=1), "198.51.100.1"] == 1
    assert counted("key_3") == {(TODAY, "198.51.100.1"): 1}


def test_a_flush_of_many_keys_costs_two_statements_more_for_each_five_hundred_rows() -> None:
    batch: Calls = {}
    for number in range(501):
        batch |= calls(credential=f"key_{number}")
    for turn in range(2):
        with CaptureQueriesContext(connection) as captured:
            add_usage(batch_id=f"batch {turn}", calls=batch)
        verbs = [query["sql"].split()[0] for query in captured if "addressusage" in query["sql"]]
        assert sorted(verbs) == ["INSERT", "INSERT", "SELECT", "SELECT"]
    assert AddressUsage.objects.count() == 501


@pytest.mark.parametrize(("usage_days", "kept"), [(400, 31), (7, 7)])
def test_calls_by_address_are_purged_after_a_month_or_with_all_usage(
    settings: Settings, usage_days: int, kept: int
) -> None:
    settings.KEYPORTAL_USAGE_DAYS = usage_days
    today = timezone.now().date()
    days = [today - timedelta(days=ago) for ago in (0, kept - 1, kept, kept + 1, kept + 2)]
    for day in days:
        AddressUsage.objects.create(credential="key_1", day=day, address=HERE, count=1)
    seen = timezone.now() - timedelta(days=6)
    SourceAddress.objects.create(credential="key_1", address=HERE, first_at=seen, last_at=seen)
    assert purge(by="test")["calls by address"] == 2
    assert set(AddressUsage.objects.values_list("day", flat=True)) == set(days[:3])
    assert SourceAddress.objects.exists()
