"""Whether it is seen that the triggers tell no more: every kind of sabotage, at every table that a verdict reads."""

import pytest
from django.db import connection

from credentials.verified_cache.trigger_health import faults
from credentials.verified_cache.verdict_tables import VERDICT_TABLES
from tests.looking import look
from tests.sabotage import CALL, SABOTAGE

pytestmark = [pytest.mark.second, pytest.mark.django_db, pytest.mark.finding("H14")]


def found() -> list[str]:
    with connection.cursor() as cursor:
        return faults(cursor)


def test_as_the_migrations_made_them_nothing_is_at_fault() -> None:
    assert found() == []
    assert look() == look()


@pytest.mark.parametrize("table", [trigger.table for trigger in VERDICT_TABLES])
@pytest.mark.parametrize("sabotage", SABOTAGE)
def test_every_sabotage_at_every_table_is_seen(table: str, sabotage: str) -> None:
    before = look()
    with connection.cursor() as cursor:
        for statement in SABOTAGE[sabotage]:
            cursor.execute(statement.format(table=table, call=CALL))
    assert look().versions != before.versions, "a heartbeat would not look closer"
    assert any(table in fault or "the function keyportal_notify" in fault for fault in found())
