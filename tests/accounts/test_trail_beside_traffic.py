"""The trail under a started portal: many writers, two purges at once, and the chain that a worker extends by itself."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.databases import portal_database
from tests.portal import Portal
from tests.waiting import wait_until

pytestmark = pytest.mark.finding("H15")

OWNER = "trail@example.com"
OLD = """
import time_machine
from datetime import UTC, datetime, timedelta
from audit.event_types import EventType
from audit.services import record_event
from audit.origin import Origin
from django.test import override_settings
with override_settings(KEYPORTAL_AUDIT_DAYS={days}), time_machine.travel(datetime.now(UTC) - timedelta(days=3)):
    for number in range({count}):
        record_event(EventType.SCOPE_ADDED, subject="key:1", origin=Origin.of_command("test"), number=number)
"""


MANY = """
import threading
from django.db import connections
from audit.event_types import EventType
from audit.services import record_event
from audit.origin import Origin

def write():
    for number in range(25):
        record_event(EventType.SCOPE_CHANGED, subject="key:1", origin=Origin.of_command("test"), number=number)
    connections.close_all()

threads = [threading.Thread(target=write) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """With a chain, as by default."""
    folder = tmp_path_factory.mktemp("trail")
    with portal_database(folder) as database_url:
        portal = Portal(folder, database_url)
        portal.make_developer(OWNER)
        portal.shell(OLD.format(days=0, count=20))
        with portal.running():
            yield portal


def count_events(site: Portal, **fields: str) -> int:
    return int(site.shell(f"print(Event.objects.filter(**{fields}).count())"))


def test_a_worker_extends_the_chain_by_itself(site: Portal) -> None:
    """Without any request."""
    wait_until(lambda: "audit_link 1:" in site.log.read_text())
    covered = site.shell("print(*ChainLink.objects.order_by('number').values_list('ids', flat=True))")
    assert covered == site.shell(
        "i = Event.objects.filter(verb='scope_added').order_by('pk'); print(f'{i[0].pk}-{i[19].pk}')"
    )
    assert site.command("verifyaudit").returncode == 0


def test_many_writers_at_once_leave_an_event_each(site: Portal) -> None:
    """Each takes the id of its event before it writes it."""
    site.shell(MANY)
    assert count_events(site, verb="scope_changed") == 8 * 25
    assert site.command("verifyaudit").stdout.startswith(f"{count_events(site)} events, ")


def test_two_purges_and_traffic_beside_them_take_every_event_once(site: Portal) -> None:
    site.shell(OLD.format(days=1, count=3000))
    kept = count_events(site) - 3000
    purges = [site.begin("purge", "--batch", "100") for _ in range(2)]
    made = 0
    while any(purging.poll() is None for purging in purges):
        site.make_key(OWNER)
        made += 1
    said = [purging.communicate()[0] for purging in purges]
    assert [purging.returncode for purging in purges] == [0, 0]
    taken = [int(line.split()[2]) for text in said for line in text.splitlines() if line.startswith("audit events")]
    assert sum(taken) == 3000
    removed = site.shell(
        "print(sum(Event.objects.filter(verb='events_removed').values_list('details__count', flat=True)))"
    )
    assert removed == "3000"
    assert count_events(site) == kept + made + count_events(site, verb="events_removed")
    assert site.command("verifyaudit").returncode == 0


@pytest.mark.second
def test_nobody_who_writes_an_event_waits_for_the_chain(site: Portal) -> None:
    with psycopg.connect(site.environment["DATABASE_URL"]) as connection:
        connection.execute("SELECT * FROM audit_chainstate FOR UPDATE")
        connection.execute("LOCK TABLE audit_chainlink")
        before = count_events(site, verb="key_created")
        site.make_key(OWNER)
        assert count_events(site, verb="key_created") == before + 1


def test_the_command_ends_in_failure_when_something_does_not_fit(site: Portal) -> None:
    site.shell("Event.objects.create(verb='x', actor='x', subject_type='x', subject_id='x', seal=b'')")
    failed = site.command("verifyaudit", check=False)
    assert failed.returncode == 1
    forged = site.shell("print(Event.objects.get(verb='x').pk)")
    assert f"altered or forged: {forged}\n" in failed.stdout
