"""Suspending waits for what is being issued, and holds back what begins meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from accounts import services
from accounts.issuing import LOCK, refuse_while_suspended
from tests.apikeys.management import KEYS
from tests.apikeys.test_management_races import call, manager
from tests.conftest import ORIGIN
from tests.parallel import all_at_once
from tests.portal import Portal


@contextmanager
def elsewhere(statement: str) -> Iterator[None]:
    """Hold a lock as another worker's transaction does."""
    url = connection.get_connection_params()
    options = {name: url[name] for name in ("dbname", "host", "port", "user", "password") if url.get(name)}
    with psycopg.connect(**options, options="-c lock_timeout=10s") as other:
        other.execute(statement, [LOCK])
        yield
        other.rollback()


def is_held_back(act: Any) -> bool:
    """Return whether the act waits for a lock: it gives up at once here."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '50ms'")
            act()
    except DatabaseError as error:
        return getattr(error.__cause__, "sqlstate", "") == "55P03"
    return False


@pytest.mark.second
@pytest.mark.django_db
def test_a_suspension_waits_for_what_is_being_issued_and_new_ones_wait_for_it() -> None:
    def suspend() -> None:
        services.suspend_issuing(reason="x", origin=ORIGIN)

    with elsewhere("SELECT pg_advisory_xact_lock(%s)"):
        assert is_held_back(refuse_while_suspended)
        assert is_held_back(lambda: services.resume_issuing(origin=ORIGIN))
    with elsewhere("SELECT pg_advisory_xact_lock_shared(%s)"):
        assert is_held_back(suspend)
        assert not is_held_back(refuse_while_suspended)  # the test's own transaction keeps this lock
    assert not is_held_back(suspend)


def test_nothing_is_created_after_the_command_has_returned(portal: Portal) -> None:
    _, secret = manager(portal, "race-suspend@example.com")
    count = "print(APIKey.objects.filter(owner__email='race-suspend@example.com').count())"
    counted: list[str] = []

    def act(number: int) -> int:
        if number:
            return call(portal, secret, "POST", KEYS, {"name": str(number), "environment": "live"}).status
        portal.manage("newcredentials", "off", "--reason", "a race")
        counted.append(portal.shell(count))
        return 0

    try:
        statuses = all_at_once(16, act)
        assert set(statuses) <= {0, 201, 503}
        assert call(portal, secret, "POST", KEYS, {"name": "late", "environment": "live"}).status == 503
        assert portal.shell(count) == counted[0]
        assert int(counted[0]) == statuses.count(201) + 1
    finally:
        portal.manage("newcredentials", "on")
