"""Is this secret good? Each reason, its order, and what it costs."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from apikeys import services
from apikeys.models import APIKey, KeySecret
from apikeys.verification import verify
from credentials.refusals import RefusedError
from credentials.scopes.models import Scope
from tests.apikeys.verifying import HERE, code_of, good
from tests.conftest import ORIGIN, MakeKey
from tests.typos import with_another_end
from vault.secret_format import new_secret

pytestmark = pytest.mark.django_db


def test_a_good_secret_proves_its_key(make_key: MakeKey, developer: User, scopes: list[Scope]) -> None:
    key, secret = make_key(scopes=["reports:read"])
    record = good(secret)
    credential = record.credential
    assert (credential.id, credential.owner_id, credential.environment) == (key.pk, developer.pk, "live")
    assert credential.scopes == {"reports:read"}
    assert record.owner.as_user() == developer
    assert record.owner.email == developer.email


def test_one_query_verifies(make_key: MakeKey, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    _, secret = make_key()
    with django_assert_num_queries(1):
        assert good(secret).owner.as_user().is_authenticated


def test_the_query_finds_the_secret_by_its_index(make_key: MakeKey) -> None:
    _, secret = make_key()
    plan = KeySecret.objects.with_secret(secret).select_related("key__owner").order_by().explain()
    if connection.vendor == "sqlite":
        assert "sqlite_autoindex_apikeys_keysecret" in plan.replace("USING INDEX ", "")
        assert "SCAN" not in plan
    else:
        with connection.cursor() as cursor:
            cursor.execute("SET enable_seqscan = off")
        assert "digest" in KeySecret.objects.with_secret(secret).order_by().explain()


@pytest.mark.conformance("ST-03")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda secret: secret[:-1],
        lambda secret: secret + "0",
        with_another_end,
        lambda secret: secret.swapcase(),
        lambda secret: secret.replace("kp_live_", "kp_test_"),
        lambda secret: secret.replace("kp_", "sk_"),
        lambda secret: secret.upper(),
        lambda secret: secret[:20] + "é" + secret[21:],
        lambda secret: "",
        lambda secret: "kp_live_",
    ],
)
def test_a_secret_with_a_wrong_checksum_asks_nobody(
    make_key: MakeKey, django_assert_num_queries: DjangoAssertNumQueries, spoil: Any
) -> None:
    _, secret = make_key()
    with django_assert_num_queries(0):
        assert code_of(spoil(secret)) == "invalid_token"


def test_a_well_formed_secret_that_nobody_has_is_unknown() -> None:
    assert code_of(new_secret("kp", "live")) == "invalid_token"


def test_the_digest_and_the_ciphertext_of_a_secret_open_nothing(make_key: MakeKey) -> None:
    make_key()
    row = KeySecret.objects.get()
    for column in (bytes(row.digest), bytes(row.ciphertext or b"")):
        assert code_of(column.hex()) == "invalid_token"
        assert code_of("kp_live_" + column.hex()[:49]) == "invalid_token"


def test_a_revoked_key_is_refused_and_told_when_and_why(make_key: MakeKey) -> None:
    key, secret = make_key()
    services.revoke(key=key, reason="left the team", origin=ORIGIN)
    with pytest.raises(RefusedError) as error:
        verify(secret, address=HERE)
    refusal = error.value.refusal
    assert refusal.code == "revoked"
    assert refusal.about["key"] == key.pk
    assert refusal.about["reason"] == "left the team"
    assert refusal.about["at"]


def test_an_expired_key_is_refused(make_key: MakeKey, time_machine: Any) -> None:
    _, secret = make_key(expires_at=timezone.now() + timedelta(hours=1))
    assert good(secret)
    time_machine.move_to(timezone.now() + timedelta(seconds=3601))
    assert code_of(secret) == "expired"


def test_an_expiry_is_exact(make_key: MakeKey, time_machine: Any) -> None:
    at = timezone.now().replace(microsecond=0) + timedelta(days=1)
    _, secret = make_key(expires_at=at)
    time_machine.move_to(at - timedelta(microseconds=1), tick=False)
    assert good(secret)
    time_machine.move_to(at, tick=False)
    assert code_of(secret) == "expired"


def test_a_retired_secret_is_refused(make_key: MakeKey) -> None:
    _, secret = make_key()
    row = KeySecret.objects.get()
    row.retires_at = timezone.now() - timedelta(seconds=1)
    row.seal = row.make_seal()
    row.save(update_fields=["retires_at", "seal"])
    assert code_of(secret) == "retired"


def test_a_paused_key_is_refused(make_key: MakeKey) -> None:
    _, secret = make_key()
    APIKey.objects.update(paused_at=timezone.now())
    assert code_of(secret) == "paused"


def test_a_key_of_an_inactive_owner_is_refused(make_key: MakeKey) -> None:
    _, secret = make_key()
    User.objects.update(is_active=False)
    assert code_of(secret) == "owner_inactive"


def test_a_key_of_an_unconfirmed_owner_is_refused(make_key: MakeKey) -> None:
    _, secret = make_key()
    User.objects.update(confirmed_at=None)
    assert code_of(secret) == "account_unconfirmed"


def test_a_key_of_a_deleted_owner_is_unknown(make_key: MakeKey, developer: User) -> None:
    _, secret = make_key()
    developer.delete()
    assert code_of(secret) == "invalid_token"


def test_a_key_is_refused_for_the_other_environment(make_key: MakeKey) -> None:
    _, secret = make_key(environment="test")
    assert good(secret, environment="test")
    assert code_of(secret, environment="live") == "wrong_environment"


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (["203.0.113.0/24"], "203.0.113.7", True),
        (["203.0.113.0/24"], "203.0.114.7", False),
        (["198.51.100.1/32", "2001:db8::/32"], "2001:db8::7", True),
        (["2001:db8::/32"], "203.0.113.7", False),
        (["203.0.113.7/32"], None, False),
        ([], None, True),
    ],
)
def test_a_key_is_refused_from_outside_its_networks(
    make_key: MakeKey, networks: list[str], address: str | None, allowed: bool
) -> None:
    _, secret = make_key(networks=networks)
    there = ip_address(address) if address else None
    if allowed:
        assert good(secret, address=there)
    else:
        assert code_of(secret, address=there) == "network_refused"


def test_a_missing_scope_is_named(make_key: MakeKey, scopes: list[Scope]) -> None:
    _, secret = make_key(scopes=["reports:read"])
    assert good(secret, scopes=["reports:read"])
    with pytest.raises(RefusedError) as error:
        verify(secret, address=HERE, scopes=["reports:read", "reports:write"])
    assert error.value.refusal.code == "insufficient_scope"
    assert error.value.refusal.scopes == ("reports:read", "reports:write")


@pytest.mark.security("Z-04")
def test_a_scope_that_leaves_the_catalogue_leaves_every_key(make_key: MakeKey, scopes: list[Scope]) -> None:
    _, secret = make_key(scopes=["reports:read", "reports:write"])
    Scope.objects.filter(name="reports:write").delete()
    assert good(secret).credential.scopes == {"reports:read"}
    Scope.objects.all().delete()
    assert good(secret).credential.scopes == set()


def test_what_ends_a_key_for_good_is_told_before_what_may_pass(make_key: MakeKey) -> None:
    key, secret = make_key()
    services.revoke(key=key, reason="", origin=ORIGIN)
    APIKey.objects.update(paused_at=timezone.now())
    User.objects.update(is_active=False, confirmed_at=None)
    assert code_of(secret) == "revoked"
    User.objects.update(is_active=True)
    assert code_of(secret) == "revoked"


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose local time has a summer."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.security("R-37")
@pytest.mark.usefixtures("in_berlin")
def test_an_expiry_is_an_instant_also_in_the_hour_that_comes_twice(make_key: MakeKey, time_machine: Any) -> None:
    at = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)  # half past two in Berlin, for the first time
    _, secret = make_key(expires_at=at)
    time_machine.move_to(at - timedelta(seconds=1), tick=False)
    assert good(secret)
    time_machine.move_to(at + timedelta(seconds=1), tick=False)
    assert code_of(secret) == "expired"
    time_machine.move_to(at + timedelta(hours=1, seconds=-1), tick=False)  # almost half past two once more
    assert code_of(secret) == "expired"
