"""The record of a key's secret: what of the rows it holds, and which rows a verdict depends on."""

from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from accounts.times import rfc3339
from apikeys import services, verification
from apikeys.models import APIKey, KeySecret
from apikeys.verification import load, record_of, verify
from credentials.credential import Credential
from credentials.record import VerifiedRecord
from credentials.refusals import RefusedError
from credentials.verified_cache.cache import VerifiedCache
from integrity.rings import index_ring
from tests.apikeys.verifying import HERE, code_of, good
from tests.conftest import ORIGIN, MakeKey
from tests.prepared_queries import compile_anew
from tests.rows import rewrite
from tests.tampering import sql
from vault.digests import index_digest
from vault.rings import new_entry
from vault.secret_format import REFRESH, new_secret

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("scopes", "_compiled_anew")]


@pytest.fixture
def _compiled_anew() -> None:
    compile_anew(verification)


def test_a_record_holds_the_key_its_owner_and_the_secret_that_was_sent(make_key: MakeKey, developer: User) -> None:
    expires_at = timezone.now() + timedelta(days=3)
    key, secret = make_key(
        environment="test",
        scopes=["reports:read", "reports:write"],
        networks=["203.0.113.0/24", "2001:db8::/32"],
        expires_at=expires_at,
    )
    services.set_rate_limit(key=key, limit="7/minute", origin=ORIGIN)
    record = good(secret)
    assert record.credential == Credential(
        kind="api_key",
        id=key.pk,
        name="billing server",
        client_id=key.pk,
        owner_id=developer.pk,
        environment="test",
        scopes=frozenset({"reports:read", "reports:write"}),
        expires_at=expires_at,
    )
    assert (record.owner.id, record.owner.email) == (developer.pk, developer.email)
    assert (record.counted_as, record.rate_limit, record.secret_id) == (key.pk, "7/minute", KeySecret.objects.get().pk)
    assert record.tags == (f"key:{key.pk}", f"user:{developer.pk}")
    assert record.about == {"key": key.pk, "name": "billing server"}
    assert record.networks == (ip_network("203.0.113.0/24"), ip_network("2001:db8::/32"))
    assert (record.expires_at, record.retires_at, record.paused_at) == (expires_at, None, None)
    assert (record.seal_is_valid, record.is_terminal, record.ended) == (True, False, {})


def test_a_record_of_a_key_alone_holds_no_secret(make_key: MakeKey) -> None:
    key, secret = make_key(networks=["203.0.113.0/24"])
    owner = good(secret).owner
    record = record_of(APIKey.objects.get(), owner=owner, catalogue=[])
    assert (record.credential.id, record.secret_id, record.retires_at) == (key.pk, "", None)
    assert (record.seal_is_valid, record.networks) == (True, (ip_network("203.0.113.0/24"),))


def test_a_record_of_a_key_that_has_ended_says_when_and_why(make_key: MakeKey) -> None:
    key, secret = make_key()
    services.revoke(key=key, reason="left the team", origin=ORIGIN)
    revoked_at = APIKey.objects.get().revoked_at
    assert revoked_at is not None
    record = load(secret)
    assert record is not None
    assert record.is_terminal
    assert record.ended == {"at": rfc3339(revoked_at), "reason": "left the team"}


def refusal_of(secret: str) -> tuple[str, dict[str, str], str]:
    """Return why a secret is refused: the code, what is said about it, and the id under which it is counted."""
    with pytest.raises(RefusedError) as caught:
        verify(secret, address=HERE)
    refused = caught.value.refusal
    return refused.code, dict(refused.about), refused.counted_as


@pytest.mark.parametrize("column", ["expires_at", "paused_at"])
def test_a_refusal_says_which_key_it_was_and_since_when(make_key: MakeKey, column: str) -> None:
    key, secret = make_key()
    moment = timezone.now() - timedelta(minutes=1)
    rewrite(key, **{column: moment})
    code = {"expires_at": "expired", "paused_at": "paused"}[column]
    about = {"key": key.pk, "name": "billing server", "at": rfc3339(moment)}
    assert refusal_of(secret) == (code, about, key.pk)


def test_a_secret_retires_at_its_moment_and_the_key_goes_on(make_key: MakeKey, time_machine: Any) -> None:
    key, secret = make_key()
    moment = datetime.fromisoformat("2027-03-01T12:00:00+00:00")
    rewrite(KeySecret.objects.get(), retires_at=moment)
    time_machine.move_to(moment - timedelta(microseconds=1), tick=False)
    assert good(secret).retires_at == moment
    time_machine.move_to(moment, tick=False)
    assert refusal_of(secret) == (
        "retired",
        {"key": key.pk, "name": "billing server", "at": rfc3339(moment)},
        key.pk,
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE apikeys_keysecret SET retires_at = '2099-01-01'",
        "UPDATE apikeys_keysecret SET index_key_id = 'i9'",
        "UPDATE apikeys_apikey SET rate_limit = '9/second'",
        "UPDATE apikeys_apikey SET networks = 'not a network'",
        "UPDATE accounts_user SET is_staff = NOT is_staff",
    ],
)
def test_a_row_that_the_portal_did_not_write_makes_no_secret_good(make_key: MakeKey, statement: str) -> None:
    _, secret = make_key()
    sql(statement)
    assert refusal_of(secret) == ("invalid_token", {}, "")


def test_two_secrets_are_cached_apart_under_their_digests(make_key: MakeKey) -> None:
    cache = VerifiedCache()
    kept: dict[bytes, VerifiedRecord | None] = {}

    def lookup(digest: bytes, load: Any) -> Any:
        kept[digest] = cache.get_or_load(cache.generation, digest, load)
        return kept[digest]

    for key, secret in (make_key(), make_key()):
        for _ in range(2):
            assert verify(secret, address=HERE, lookup=lookup).credential.id == key.pk
        assert index_digest(index_ring().primary, secret) in kept
    assert len(kept) == 2


def test_a_secret_is_found_under_every_key_of_the_index_ring(make_key: MakeKey, settings: Settings) -> None:
    _, secret = make_key()
    ring: str = settings.KEYPORTAL_INDEX_KEYS
    settings.KEYPORTAL_INDEX_KEYS = f"{new_entry('i2')},{ring}"
    assert good(secret)


@pytest.mark.parametrize("secret", ["", "x", new_secret("kp", REFRESH), new_secret("sk", "live")], ids=range(4))
def test_what_can_be_no_secret_costs_no_query(secret: str, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert load(secret) is None
        assert code_of(secret) == "invalid_token"


def test_a_well_formed_secret_that_nobody_has_costs_two(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """The second asks whether there is a ring key that this process lacks: nothing is called unknown too early."""
    with django_assert_num_queries(2):
        assert refusal_of(new_secret("kp", "test")) == ("invalid_token", {}, "")
