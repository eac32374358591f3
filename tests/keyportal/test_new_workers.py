"""A worker in another's place: it listens when it can answer, and until then the others have all connections."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from django.db import OperationalError

from integrity.key_check import RingMisfitError
from keyportal.http_server.server import HTTPServer
from tests.clients.storm import workers_of
from tests.databases import portal_database
from tests.http_server import http_server, work_off
from tests.portal import ROOT, Portal
from tests.waiting import DEADLINE, wait_until
from tests.with_postgres import Cluster

__all__ = ["http_server"]  # a fixture

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


@pytest.mark.once
@pytest.mark.postgresql
def test_a_worker_that_can_not_reach_the_database_yet_takes_no_requests_from_the_others(
    cluster: Cluster, tmp_path: Path
) -> None:
    with Portal(tmp_path, cluster.url).running() as portal:
        portal.make_developer(OWNER)
        secret = portal.make_key(OWNER)[1]
        wait_until(lambda: {asks(portal, secret) for _ in range(20)} == {200})
        before, meanwhile = started(portal), []
        cluster.hold_new_sessions()
        try:
            end(portal)
            while started(portal) == before:
                status = asks(portal, secret)
                if started(portal) == before:
                    meanwhile.append(status)
        finally:
            cluster.thaw()
        assert set(meanwhile) == {200}
        wait_until(lambda: {asks(portal, secret) for _ in range(20)} == {200})


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    """A portal of its own, whose workers may be ended."""
    with portal_database(tmp_path) as database_url, Portal(tmp_path, database_url).running() as running:
        yield running


def test_workers_are_replaced_by_a_signal_to_the_server(portal: Portal) -> None:
    assert portal.process is not None
    for _ in range(2):
        before = workers_of(portal)
        os.kill(portal.process.pid, signal.SIGHUP)
        wait_until(lambda: len(now := workers_of(portal)) == 2 and not {*now} & {*before})  # noqa: B023
        wait_until(portal.answers, otherwise=portal.log.read_text)
    assert portal.get("/readyz").status == 200


@pytest.mark.once
def test_a_server_whose_port_is_taken_says_so_and_ends(tmp_path: Path) -> None:
    with portal_database(tmp_path) as database_url, socket.create_server(("127.0.0.1", 0)) as other:
        portal = Portal(tmp_path, database_url)
        portal.command("migrate", "--verbosity=0")
        portal.port = other.getsockname()[1]
        status = portal.spawn_anew().wait(timeout=DEADLINE)
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
