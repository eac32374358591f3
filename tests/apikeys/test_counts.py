"""What metrics tell of keys and secrets that are about to end: each by one query, over an index."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apikeys import services
from apikeys.counts import expiring_keys, former_secrets
from apikeys.models import APIKey
from credentials.usage.models import SourceAddress
from integrity.key_check import confirm_rings, index_key_to_write, primary_keys_since, sealing_ring_to_write
from integrity.models import KeyCheck
from tests.conftest import ORIGIN, MakeKey

pytestmark = pytest.mark.django_db


def test_keys_that_expire_soon_are_counted_and_ended_ones_are_not(
    make_key: MakeKey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    now = timezone.now()
    for days in (1, 6, 20, 40):
        make_key(expires_at=now + timedelta(days=days))
    make_key(expires_at=now - timedelta(days=1))
    make_key()
    revoked, _ = make_key(expires_at=now + timedelta(days=2))
    services.revoke(key=revoked, reason="over", origin=ORIGIN)
    with django_assert_num_queries(1):
        assert expiring_keys() == {"7d": 2, "30d": 3}


def rotated(make_key: MakeKey, overlap: timedelta) -> tuple[APIKey, str]:
    key, _ = make_key()
    former = key.secrets.get()
    services.rotate(key=key, replaces=former.pk, overlap=overlap, origin=ORIGIN)
    return key, former.pk


def test_former_secrets_are_counted_and_those_that_are_used(
    make_key: MakeKey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ended, _ = rotated(make_key, timedelta(0))
    rotated(make_key, timedelta(hours=24))
    for minutes in (-5, 5):  # before it was replaced, and since then
        key, secret = rotated(make_key, timedelta(hours=24))
        at = timezone.now() + timedelta(minutes=minutes)
        SourceAddress.objects.create(credential=key.pk, secret=secret, address="192.0.2.1", first_at=at, last_at=at)
    revoked, _ = rotated(make_key, timedelta(hours=24))
    services.revoke(key=revoked, reason="over", origin=ORIGIN)
    with django_assert_num_queries(1):
        assert former_secrets() == (3, 1)
    assert ended.secrets.filter(retires_at__lte=timezone.now()).exists()


@pytest.mark.once  # PostgreSQL reads a table of a few rows without an index
def test_each_uses_its_index() -> None:
    for count, index in ((expiring_keys, "keys_by_expiry"), (former_secrets, "secrets_by_end")):
        with CaptureQueriesContext(connection) as queries:
            count()
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {queries[0]['sql'].replace('%', '%%')}")
            plan = " ".join(str(row) for row in cursor.fetchall())
        assert index in plan


def test_the_age_of_each_ring_is_known_and_a_new_signing_key_noted() -> None:
    KeyCheck.objects.all().delete()
    assert primary_keys_since().keys() == {"signing"}  # nothing was written with the others yet
    confirm_rings()  # this process notices that they are gone
    sealing_ring_to_write()
    index_key_to_write()
    since = primary_keys_since()
    assert since.keys() == {"sealing", "index", "signing"}
    assert KeyCheck.objects.filter(ring="signing").count() == 1
    KeyCheck.objects.filter(ring="signing").update(seen_at=timezone.now() - timedelta(days=3))
    assert timezone.now() - primary_keys_since()["signing"] > timedelta(days=2)
    assert KeyCheck.objects.filter(ring="signing").count() == 1
    confirm_rings()  # which looks at the other rings only
