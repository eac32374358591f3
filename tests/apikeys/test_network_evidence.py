"""A dry run of a list of networks against the calls that were counted, and the networks that they suggest."""

import secrets
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_network

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, Settings

from apikeys.network_evidence import MAX_ROWS, AddressCalls, RecentCalls, dry_run, recent_calls, share_of, suggestions
from apikeys.networks import MAX_NETWORKS, NEVER_A_CLIENT, in_short, parse_list
from apikeys.verification import verify
from audit.client_address import Address, parse_address
from credentials.admission import Admission
from credentials.refusals import RefusedError
from credentials.usage.counters import UsageCounters
from credentials.usage.models import AddressUsage
from credentials.usage.services import add_usage
from tests.conftest import MakeKey

NOW = datetime(2026, 3, 9, 9, 59, 30, tzinfo=UTC)
TODAY = NOW.date()
OFFICE = ("203.0.113.7", "203.0.113.8", "203.0.113.9")


@pytest.fixture(autouse=True)
def _morning() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def address(text: str) -> Address:
    found = parse_address(text)
    assert found
    return found


def row(text: str, calls: int, last_on: date = TODAY) -> AddressCalls:
    return AddressCalls(address(text), calls, last_on)


def recent(*rows: AddressCalls, unknown: int = 0) -> RecentCalls:
    return RecentCalls(days=30, by_address=rows, unknown=unknown)


def count(text: str, calls: int, *, ago: int = 0, key_id: str = "key_1") -> None:
    day = TODAY - timedelta(days=ago)
    AddressUsage.objects.create(credential=key_id, day=day, address=text, count=calls)


@pytest.mark.django_db
def test_calls_are_those_of_thirty_days_by_address_in_one_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for ago in (0, 29, 30):
        count("203.0.113.7", 10, ago=ago)
    count("2001:db8::1", 25, ago=3)
    count("", 4)
    count("not an address", 1)
    count("203.0.113.7", 100, key_id="key_2")
    with django_assert_num_queries(1):
        found = recent_calls("key_1")
    three_days_ago = TODAY - timedelta(days=3)
    assert found == recent(row("2001:db8::1", 25, three_days_ago), row("203.0.113.7", 20), unknown=5)
    assert found.total == 50


@pytest.mark.django_db
def test_where_usage_is_kept_for_less_the_calls_are_of_fewer_days(settings: Settings) -> None:
    settings.KEYPORTAL_USAGE_DAYS = 7
    count("203.0.113.7", 1, ago=6)
    count("203.0.113.7", 10, ago=7)
    assert (recent_calls("key_1").days, recent_calls("key_1").total) == (7, 1)


@pytest.mark.django_db
def test_a_dry_run_says_of_real_calls_what_verification_does_to_them(
    make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = ["203.0.113.0/30", "198.51.100.7", "2001:db8::/64"]
    key, secret = make_key()
    bound, bound_secret = make_key(networks=allowed)
    counters = UsageCounters()
    monkeypatch.setattr("credentials.admission.usage_counters", lambda: counters)
    refused = 0
    for text in ("203.0.113.1", "203.0.113.1", "203.0.113.5", "198.51.100.7", "198.51.100.8", "2001:db8::9", "::1"):
        with Admission("api", address(text)) as admission:
            admission.accept(verify(secret, address=address(text)))
        try:
            verify(bound_secret, address=address(text))
        except RefusedError:
            refused += 1
    add_usage(batch_id=secrets.token_hex(16), calls=counters.drain())
    found = dry_run(recent_calls(key.pk), parse_list(allowed))
    assert (found.total, found.kept, found.refused) == (7, 4, refused)
    assert [str(row.address) for row in found.rows] == ["198.51.100.8", "203.0.113.5", "::1"]
    assert recent_calls(bound.pk).total == 0


def test_a_dry_run_lists_what_would_have_been_refused_most_calls_first() -> None:
    calls = recent(row("2001:db8::1", 25), row("203.0.113.7", 20), row("198.51.100.1", 5), unknown=3)
    found = dry_run(calls, parse_list(["203.0.113.0/24"]))
    assert found.rows == (row("2001:db8::1", 25), row("198.51.100.1", 5))
    assert (found.kept, found.refused, found.unknown, found.total, found.addresses) == (20, 30, 3, 53, 2)
    assert not found.is_harmless


def test_a_list_that_covers_all_calls_is_harmless_unless_some_have_no_known_address() -> None:
    calls = (row("2001:db8::1", 25), row("203.0.113.7", 20))
    networks = parse_list(["203.0.113.0/24", "2001:db8::/64"])
    assert dry_run(recent(*calls), networks).is_harmless
    assert not dry_run(recent(*calls, unknown=1), networks).is_harmless


def test_an_empty_list_keeps_every_call() -> None:
    found = dry_run(recent(row("203.0.113.7", 20), unknown=3), [])
    assert (found.kept, found.refused, found.unknown, found.is_harmless) == (23, 0, 0, True)


def test_so_many_addresses_are_listed_and_the_others_counted() -> None:
    calls = recent(*(row(f"2001:db8::{number:x}", 100 - number) for number in range(MAX_ROWS + 12)))
    found = dry_run(calls, parse_list(["203.0.113.7"]))
    assert (len(found.rows), found.more, found.addresses) == (MAX_ROWS, 12, MAX_ROWS + 12)
    assert found.refused == sum(100 - number for number in range(MAX_ROWS + 12))


@pytest.mark.parametrize(
    ("addresses", "suggested"),
    [
        ((), []),
        (("203.0.113.7",), ["203.0.113.7"]),
        (OFFICE[:2], ["203.0.113.7", "203.0.113.8"]),
        (OFFICE, ["203.0.113.0/24"]),
        ((*OFFICE, "203.0.114.1"), ["203.0.113.0/24", "203.0.114.1"]),
        (("203.0.112.1", "203.0.113.1", "203.0.114.1"), ["203.0.112.1", "203.0.113.1", "203.0.114.1"]),
        (("2001:db8::1", "2001:db8::2", "2001:db8:0:0:9::3"), ["2001:db8::/64"]),
        (("2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:2::1"), ["2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:2::1"]),
        (("224.0.0.1", "203.0.113.7"), ["203.0.113.7"]),
    ],
)
def test_several_neighbours_are_suggested_as_one_network_and_never_a_wider_one(
    addresses: tuple[str, ...], suggested: list[str]
) -> None:
    found = suggestions(recent(*(row(text, 100 - number) for number, text in enumerate(addresses))))
    assert [in_short(suggestion.network) for suggestion in found] == suggested


def test_a_suggestion_has_its_share_and_the_largest_is_first() -> None:
    calls = recent(row("198.51.100.1", 400), *(row(text, 150) for text in OFFICE), unknown=150)
    found = [tuple(suggestion) for suggestion in suggestions(calls)]
    assert found == [
        (ip_network("203.0.113.0/24"), 3, 450, "45%"),
        (ip_network("198.51.100.1"), 1, 400, "40%"),
    ]


@pytest.mark.parametrize(
    ("calls", "total", "words"), [(1, 1, "100%"), (999, 1000, "99%"), (1, 3, "33%"), (1, 1000, "less than 1%")]
)
def test_a_share_is_rounded_down(calls: int, total: int, words: str) -> None:
    assert share_of(calls, total) == words


def may_call(client: Address) -> bool:
    return not any(client in network for network in NEVER_A_CLIENT)


@given(st.lists(st.ip_addresses(), unique=True, max_size=40), st.lists(st.integers(0, 2**8), unique=True, max_size=20))
def test_what_is_suggested_is_accepted_and_covers_every_call(anywhere: list[Address], near: list[int]) -> None:
    neighbours = [address(f"2001:db8::{number:x}") for number in near]
    clients = {one for one in map(parse_address, map(str, [*anywhere, *neighbours])) if one and may_call(one)}
    calls = recent(*(row(str(one), 1) for one in sorted(clients, key=str)))
    found = parse_list([in_short(suggestion.network) for suggestion in suggestions(calls)])
    assert len(found) <= MAX_NETWORKS
    assert dry_run(calls, found).refused == 0 or len(found) == MAX_NETWORKS
