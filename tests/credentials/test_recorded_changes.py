"""SQLite: changes are recorded by triggers in the transaction that makes them, and the newest are kept."""

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from apikeys import services
from apikeys.models import KeySecret
from credentials.scopes.models import Scope
from credentials.verified_cache.change_log import KEPT
from credentials.verified_cache.models import RecordedChange
from credentials.verified_cache.sqlite_triggers import faults
from credentials.verified_cache.verdict_tables import EVERYTHING
from keyportal.purge import purge
from tests.conftest import ORIGIN, MakeKey

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def newest() -> list[str]:
    """Return the tags that are recorded and have not been looked at, and forget them."""
    tags = list(RecordedChange.objects.order_by("n").values_list("tag", flat=True))
    RecordedChange.objects.all().delete()
    return tags


def test_a_key_is_named_by_all_that_happens_to_it(make_key: MakeKey, developer: User) -> None:
    key, _ = make_key()
    assert f"key:{key.pk}" in newest()
    services.revoke(key=key, reason="x", origin=ORIGIN)
    assert set(newest()) == {f"key:{key.pk}"}
    User.objects.filter(pk=developer.pk).update(is_active=False)
    assert newest() == [f"user:{developer.pk}"]
    Scope.objects.create(name="recorded:it", description="x")
    assert newest() == [EVERYTHING]


def test_a_secret_that_moves_to_another_key_names_both(make_key: MakeKey) -> None:
    (key, _), (other, _) = make_key(), make_key()
    KeySecret.objects.filter(key=other).update(replaced_at=timezone.now())
    newest()
    KeySecret.objects.filter(key=key).update(key=other)
    assert set(newest()) == {f"key:{key.pk}", f"key:{other.pk}"}


def test_a_change_that_is_undone_is_not_recorded(make_key: MakeKey) -> None:
    key, _ = make_key()
    newest()
    undone = transaction.savepoint()
    services.revoke(key=key, reason="x", origin=ORIGIN)
    transaction.savepoint_rollback(undone)
    assert newest() == []


TRIGGER = "keyportal_change_apikeys_apikey_delete"
OTHER = "CREATE TRIGGER {} AFTER DELETE ON apikeys_apikey BEGIN SELECT 1; END"


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        ([], []),
        ([f"DROP TRIGGER {TRIGGER}"], [f"the trigger {TRIGGER} is missing"]),
        (
            [f"DROP TRIGGER {TRIGGER}", OTHER.format(TRIGGER)],
            [f"the trigger {TRIGGER} is not one that the migrations created"],
        ),
        (
            [OTHER.format("keyportal_change_of_mine")],
            ["the trigger keyportal_change_of_mine is not one that the migrations created"],
        ),
    ],
)
def test_each_trigger_that_does_not_record_changes_is_named(statements: list[str], found: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        assert faults(cursor) == found


def test_the_purge_leaves_the_newest() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s) "
            "INSERT INTO credentials_recordedchange (nonce, tag) SELECT 'x', 'key:x' FROM numbers",
            [KEPT + 50],
        )
    before = RecordedChange.objects.count()
    assert purge(by="test")["recorded changes"] == before - KEPT
    assert RecordedChange.objects.count() == KEPT
    assert purge(by="test")["recorded changes"] == 0
