"""A worker in another's place: it listens when it can answer, and until then the others have all connections."""

import os
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Final

import pytest
from django.db import OperationalError

from integrity.key_check import RingMisfitError
from keyportal.http_server.server import HTTPServer
from tests.clients.storm import workers_of
from tests.databases import portal_database
from tests.http_server import http_server, work_off
from tests.parallel import all_at_once
from tests.portal import ROOT, Portal
from tests.waiting import DEADLINE, wait_until
from tests.with_postgres import Cluster

__all__ = ["http_server"]  # a fixture

SOME: Final = 5
"""More requests than there is time for before a worker listens that does not wait."""
OWNER: Final = "replaced@example.com"


def asks(portal: Portal, secret: str) -> int:
    """Return the status of a verdict on a connection of its own."""
    return portal.get("/gateway/auth", Authorization=f"Bearer {secret}").status


def started(portal: Portal) -> int:
    """Return how many workers have said that they listen."""
    return portal.log.read_text().count("Started worker ")


def end(portal: Portal) -> None:
    """End a worker, and wait until it has gone and another is being made."""
    ended = workers_of(portal)[0]
    os.kill(ended, signal.SIGTERM)
    wait_until(lambda: ended not in workers_of(portal) and len(workers_of(portal)) == 2)


@pytest.fixture(scope="module")
def in_cluster(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal on a PostgreSQL that gives no sessions when a test says so."""
    with Portal(tmp_path_factory.mktemp("cluster"), cluster.url).running() as running:
        running.make_developer(OWNER)
        yield running


@pytest.mark.once
@pytest.mark.postgresql
def test_a_worker_that_can_not_reach_the_database_yet_takes_no_requests_from_the_others(
    cluster: Cluster, in_cluster: Portal
) -> None:
    secret = in_cluster.make_key(OWNER)[1]
    meanwhile: list[int] = []
    for _ in range(5):  # on a busy machine the test may come too late to ask meanwhile
        wait_until(lambda: {asks(in_cluster, secret) for _ in range(20)} == {200})
        cluster.hold_new_sessions()
        try:
            meanwhile = list(asked_meanwhile(in_cluster, secret))
        finally:
            cluster.thaw()
        if len(meanwhile) >= SOME:
            break
    assert len(meanwhile) >= SOME
    assert set(meanwhile) == {200}
    wait_until(lambda: {asks(in_cluster, secret) for _ in range(20)} == {200})


def asked_meanwhile(portal: Portal, secret: str) -> Iterator[int]:
    """End a worker, and yield the verdicts from before the one in its place listens."""
    before = started(portal)
    end(portal)
    while started(portal) == before:
        status = asks(portal, secret)
        if started(portal) == before:
            yield status


@pytest.mark.once
@pytest.mark.postgresql
def test_workers_go_on_until_one_in_their_place_listens(cluster: Cluster, in_cluster: Portal) -> None:
    assert in_cluster.process is not None
    before, born = started(in_cluster), in_cluster.log.read_text().count("Booting worker ")
    cluster.hold_new_sessions()
    try:
        os.kill(in_cluster.process.pid, signal.SIGHUP)
        wait_until(lambda: in_cluster.log.read_text().count("Booting worker ") == born + 2)
        seen = {in_cluster.get("/healthz").status}
        while started(in_cluster) == before:
            seen.add(in_cluster.get("/healthz").status)
    finally:
        cluster.thaw()
    assert seen == {200}
    wait_until(lambda: len(workers_of(in_cluster)) == 2)
    assert in_cluster.get("/healthz").status == 200


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    """A portal of its own, whose workers may be ended."""
    with portal_database(tmp_path) as database_url, Portal(tmp_path, database_url).running() as running:
        yield running


def replace(portal: Portal) -> None:
    """Have all workers replaced, and wait until those of before have gone."""
    assert portal.process is not None
    before = workers_of(portal)
    os.kill(portal.process.pid, signal.SIGHUP)
    wait_until(lambda: len(now := workers_of(portal)) == 2 and not {*now} & {*before})


def test_workers_are_replaced_by_a_signal_to_the_server(portal: Portal) -> None:
    for _ in range(2):
        replace(portal)
    wait_until(lambda: portal.get("/readyz").status == 200, otherwise=portal.log.read_text)


def test_meanwhile_nobody_finds_the_port_closed(portal: Portal) -> None:
    """Who has just connected to a worker that ends may be cut off by the kernel, and tries again."""
    over = Event()

    def ask() -> "Counter[str]":
        seen: Counter[str] = Counter()
        while not over.is_set():
            try:
                seen[str(portal.get("/healthz").status)] += 1
            except ConnectionRefusedError:
                seen["refused"] += 1
            except ConnectionResetError:
                seen["reset"] += 1
        return seen

    def replace_three_times() -> "Counter[str]":
        for _ in range(3):
            replace(portal)
        over.set()
        return Counter()

    seen = all_at_once(5, lambda number: ask() if number else replace_three_times())
    assert {what for each in seen for what in each} <= {"200", "reset"}


@pytest.mark.once
@pytest.mark.parametrize("is_shared", [False, True], ids=["by-another-program", "by-another-portal"])
def test_a_server_whose_port_is_taken_says_so_and_ends(tmp_path: Path, is_shared: bool) -> None:
    taken = socket.create_server(("127.0.0.1", 0), reuse_port=is_shared)
    with portal_database(tmp_path) as database_url, taken as other:
        portal = Portal(tmp_path, database_url)
        portal.command("migrate", "--verbosity=0")
        portal.port = other.getsockname()[1]
        process = portal.spawn_anew()
        try:
            status = process.wait(timeout=DEADLINE)
        finally:
            portal.stop()
    logged = portal.log.read_text()
    assert (status, logged.count(f"Can't listen at 127.0.0.1, port {portal.port}: Address already in use")) == (1, 1)
    assert "Traceback" not in logged


def test_what_systemd_has_opened_is_listened_at(portal: Portal) -> None:
    """As with a unit's .socket: its descriptor is the third, and named by the environment (sd_listen_fds)."""
    portal.stop()
    script = 'exec 3<&$1; shift; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
    with socket.create_server(("127.0.0.1", 0)) as opened, portal.log.open("ab") as log:
        port, number = opened.getsockname()[1], opened.fileno()
        portal.process = subprocess.Popen(
            ["bash", "-c", script, "bash", str(number), *portal.server(2)[:3], "--workers", "2"],
            cwd=ROOT,
            env=portal._whole_environment(),
            pass_fds=[number],
            stdout=log,
            stderr=log,
        )
    portal.port = port
    wait_until(lambda: started(portal) >= 4, otherwise=portal.log.read_text)
    assert {portal.get("/healthz").status for _ in range(10)} == {200}


class Known:
    """What a process knows of changes."""

    def __init__(self) -> None:
        self.is_current = False
        self.raised: Exception | None = None

    def is_known_current(self) -> bool:
        return self.is_current

    def current(self) -> None:
        if self.raised is not None:
            raise self.raised

    def confirm_rings(self) -> None:
        pass


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Known:
    """What this process knows, as the test says."""
    known = Known()
    monkeypatch.setattr("keyportal.http_server.readiness.freshness", lambda: known)
    return known


@pytest.mark.once
def test_a_worker_waits_for_the_first_news_of_changes(http_server: HTTPServer, known: Known) -> None:
    readiness = http_server.readiness
    for _ in range(2):
        assert not readiness.has_come()
        work_off(http_server)
    assert not readiness.has_come()
    known.is_current = True
    assert readiness.has_come()


@pytest.mark.once
@pytest.mark.parametrize("why", [OperationalError("away"), RingMisfitError("another ring")])
def test_a_worker_waits_for_no_database_that_can_not_be_used(
    http_server: HTTPServer, known: Known, why: Exception
) -> None:
    known.raised = why
    assert not http_server.readiness.has_come()
    work_off(http_server)
    assert http_server.readiness.has_come()
