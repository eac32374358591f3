"""Usage: what is counted, that nothing is counted twice or lost, and that no request waits for it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import DataError, OperationalError
from pytest_django import DjangoAssertNumQueries

from apikeys.verification import verify
from audit.client_address import parse_address
from credentials.admission import Admission
from credentials.refusals import RefusedError
from credentials.usage import counters
from credentials.usage import flusher as usage
from credentials.usage.counters import CallCount, CounterKey, UsageCounters
from credentials.usage.flusher import Flusher
from credentials.usage.models import SourceAddress, Usage, UsageBatch
from credentials.usage.services import ADDRESSES, add_usage
from tests.conftest import MakeKey
from tests.databases import portal_database
from tests.oauth_client import ClientKey, OAuthClient
from tests.parallel import all_at_once
from tests.portal import Portal
from tests.waiting import wait_until

HERE = parse_address("192.0.2.7")
MANY = 1000
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def calls(*at: datetime, address: str = "192.0.2.7", secret: str = "sec_1", outcome: str = "accepted") -> Any:
    """Return what the counters have for calls at these times."""
    asked = CounterKey(int(at[0].timestamp() // 3600), "api", outcome, "key_1", secret, parse_address(address))
    seen = CallCount(at[0].timestamp())
    seen.count, seen.last = len(at), at[-1].timestamp()
    return {asked: seen}


def of_key(portal: Portal, key: str) -> str:
    """Return the counts of a key as they stand in the database."""
    rows = "sorted((row.entry_point, row.outcome, row.count) for row in Usage.objects.filter(credential="
    return portal.shell(f"from credentials.models import Usage; print({rows}'{key}')))")


def wait_for_counts(portal: Portal, key: str, expected: str) -> None:
    """Wait until the counts of a key are these; they are written now and then."""
    wait_until(lambda: of_key(portal, key) == expected, otherwise=lambda: f"{of_key(portal, key)}, not {expected}")


def test_every_entry_point_and_outcome_is_counted_and_a_key_with_its_tokens_is_one(
    portal: Portal, oauth_client: OAuthClient
) -> None:
    portal.make_developer("usage@example.com")
    client = ClientKey(*portal.make_key("usage@example.com"))
    portal.shell("Scope.objects.get_or_create(name='credentials:verify', defaults={'description': 'v'})")
    asker = ClientKey(*portal.make_key("usage@example.com", "--scope", "credentials:verify", "--restricted"))
    token = oauth_client.client_token(client)
    assert oauth_client.me(client.secret).status == oauth_client.me(token).status == 200
    assert portal.get("/gateway/auth?scope=no:such", Authorization=f"Bearer {client.secret}").status == 403
    verify_it = {"credential": client.secret, "environment": "test"}
    assert oauth_client.post("/api/v1/verify", verify_it, Authorization=f"Bearer {asker.secret}").status == 200
    assert oauth_client.form("/oauth/introspect", {"token": client.secret}, client=asker).status == 200
    expected = [
        ("api", "accepted", 2),  # with the secret, and with the token that it was exchanged for
        ("forward_auth", "insufficient_scope", 1),
        ("introspection", "accepted", 1),
        ("oauth", "accepted", 1),
        ("verify", "wrong_environment", 1),
    ]
    wait_for_counts(portal, client.id, str(expected))


def test_a_log_in_s_tokens_are_counted_as_their_user(portal: Portal, oauth_client: OAuthClient) -> None:
    user = portal.make_developer("usage-login@example.com")
    assert oauth_client.me(oauth_client.log_in("usage-login@example.com")["access_token"]).status == 200
    wait_for_counts(portal, user, str([("api", "accepted", 1)]))


def test_a_normal_stop_loses_nothing_and_many_workers_count_together(tmp_path: Path) -> None:
    with portal_database(tmp_path) as database_url:
        site = Portal(tmp_path, database_url, KEYPORTAL_USAGE_FLUSH="0.02")
        with site.running():
            site.make_developer("exact@example.com")
            key, secret = site.make_key("exact@example.com")
            heads = {"Authorization": f"Bearer {secret}"}

            def some(_: int) -> set[int]:
                return {site.get("/gateway/auth", **heads).status for _ in range(50)}

            assert set().union(*all_at_once(8, some)) == {200}
        assert of_key(site, key) == str([("forward_auth", "accepted", 400)])
        late = Portal(tmp_path, database_url, **{**site.environment, "KEYPORTAL_USAGE_FLUSH": "3600"})
        site.stop()
        late.start()
        assert {late.get("/gateway/auth", **heads).status for _ in range(10)} == {200}
        late.stop()
        assert of_key(late, key) == str([("forward_auth", "accepted", 410)])
        late.stop()


@pytest.mark.django_db
def test_a_batch_that_comes_twice_counts_once() -> None:
    assert add_usage(batch_id="one", calls=calls(NOON, NOON)) is True
    assert add_usage(batch_id="one", calls=calls(NOON, NOON)) is False
    assert add_usage(batch_id="two", calls=calls(NOON)) is True
    assert Usage.objects.get().count == 3
    assert UsageBatch.objects.count() == 2


@pytest.mark.django_db
def test_a_commit_whose_answer_is_lost_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    own, flusher = UsageCounters(), Flusher()
    monkeypatch.setattr(usage, "usage_counters", lambda: own)

    def write_then_fail(*, batch_id: str, calls: Mapping[CounterKey, CallCount]) -> bool:
        add_usage(batch_id=batch_id, calls=calls)
        raise OperationalError("the connection broke")

    own.count("api", "accepted", 0.1, credential="key_1", secret="sec_1")
    with monkeypatch.context() as broken:
        broken.setattr(usage, "add_usage", write_then_fail)
        with pytest.raises(OperationalError):
            flusher.flush()
        own.count("api", "accepted", 0.1, credential="key_1", secret="sec_1")
        with pytest.raises(OperationalError):
            flusher.flush()
    flusher.flush()  # the batch that is in already
    flusher.flush()  # what came meanwhile
    assert Usage.objects.get().count == 2


@pytest.mark.django_db
def test_what_can_not_be_written_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    own, flusher = UsageCounters(), Flusher()
    monkeypatch.setattr(usage, "usage_counters", lambda: own)

    def away(**_: Any) -> bool:
        raise OperationalError("away")

    own.count("api", "paused", 0.1, credential="key_1")
    with monkeypatch.context() as broken:
        broken.setattr(usage, "add_usage", away)
        with pytest.raises(OperationalError):
            flusher.flush()
    own.count("api", "paused", 0.1, credential="key_1")
    flusher.flush()
    flusher.flush()
    assert Usage.objects.get().count == 2
    assert not SourceAddress.objects.exists()


@pytest.mark.django_db
@pytest.mark.security("R-13")
def test_the_last_use_moves_only_forward_and_the_first_stays() -> None:
    for batch, hour in (("b", 12), ("c", 14), ("a", 10)):
        add_usage(batch_id=batch, calls=calls(NOON.replace(hour=hour)))
    seen = SourceAddress.objects.get()
    assert seen.last_at.hour == 14
    assert seen.first_at.hour == 12


@pytest.mark.django_db
def test_of_many_addresses_the_newest_are_kept() -> None:
    together: dict[Any, Any] = {}
    for number in range(ADDRESSES + 15):
        together |= calls(NOON.replace(minute=number), address=f"2001:db8::{number:x}")
    add_usage(batch_id="many", calls=together)
    add_usage(batch_id="more", calls=calls(NOON.replace(minute=50), address="198.51.100.1"))
    kept = list(SourceAddress.objects.order_by("-last_at").values_list("address", flat=True))
    assert len(kept) == ADDRESSES
    assert kept[:2] == ["198.51.100.1", f"2001:db8::{ADDRESSES + 14:x}"]
    add_usage(batch_id="other", calls=calls(NOON, secret="sec_2"))
    assert SourceAddress.objects.filter(secret="sec_2").count() == 1


def test_memory_stays_bounded_whatever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MAX_COUNTERS", MANY)
    own = UsageCounters()
    for number in range(MANY + 50):
        own.count(
            "api", "accepted", 0.1, credential=f"key_{number % 3}", address=parse_address(f"2001:db8::{number:x}")
        )
    taken = own.drain()
    assert len(taken) <= MANY + 3
    assert sum(seen.count for seen in taken.values()) == MANY + 50
    assert own.drain() == {}


@pytest.mark.django_db
def test_nothing_is_written_on_the_way_of_a_request(
    make_key: MakeKey, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    def call(secret: str, **required: Any) -> None:
        with Admission("api", HERE) as admission:
            admission.accept(verify(secret, address=HERE, **required))

    own = UsageCounters()
    monkeypatch.setattr("credentials.admission.usage_counters", lambda: own)
    key, secret = make_key()
    with django_assert_num_queries(1):
        call(secret)
    with django_assert_num_queries(1), pytest.raises(RefusedError):
        call(secret, scopes=["no:such"])
    with django_assert_num_queries(0), pytest.raises(RefusedError):
        call("kp_live_nothing")
    counted = {(asked.outcome, asked.credential): seen.count for asked, seen in own.drain().items()}
    assert counted == {("accepted", key.pk): 1, ("insufficient_scope", key.pk): 1}
    assert own.durations["api", "invalid_token"].seconds > 0


@pytest.mark.django_db
def test_a_batch_that_the_database_refuses_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    own, flusher = UsageCounters(), Flusher()
    monkeypatch.setattr(usage, "usage_counters", lambda: own)

    def refuse(**_: Any) -> bool:
        raise DataError("too long")

    own.count("api", "accepted", 0.1, credential="key_1")
    with monkeypatch.context() as broken:
        broken.setattr(usage, "add_usage", refuse)
        flusher.flush()
    own.count("api", "accepted", 0.1, credential="key_1")
    flusher.flush()
    assert Usage.objects.get().count == 1


def test_an_address_with_a_zone_is_counted_without_it(portal: Portal, oauth_client: OAuthClient) -> None:
    portal.make_developer("zone@example.com")
    client = ClientKey(*portal.make_key("zone@example.com"))
    asker = ClientKey(*portal.make_key("zone@example.com", "--scope", "credentials:verify", "--restricted"))
    asked = {"token": client.secret, "client_ip": "fe80::1%" + "a" * 60}
    assert oauth_client.form("/oauth/introspect", asked, client=asker).status == 200
    wait_for_counts(portal, client.id, str([("introspection", "accepted", 1)]))
    seen = f"print(SourceAddress.objects.get(credential='{client.id}').address)"
    assert portal.shell(f"from credentials.models import SourceAddress; {seen}") == "fe80::1"
