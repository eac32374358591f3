"""The runbooks of docs/operations.md for what breaks, carried out as they stand there."""

import os
import signal
from pathlib import Path
from typing import Final

import pytest

from tests.databases import portal_database
from tests.keyportal.runbooks import Operator, runbook, unknown_commands
from tests.mail_server import Manners, mail_server
from tests.portal import Portal
from tests.ports import free_port
from tests.unwritten import no_writes
from tests.waiting import wait_until
from tests.with_postgres import Cluster

pytestmark = [pytest.mark.once, pytest.mark.finding("H52")]
TITLES: Final = (
    "Everything answers 503",
    "The database fails over",
    "The disk is full",
    "The mail server is down",
    "A host is lost",
    "Upgrade and roll back",
)


def status_of(portal: Portal, secret: str) -> int:
    return portal.get("/api/v1/me", Authorization=f"Bearer {secret}").status


def make_key(portal: Portal) -> str:
    portal.make_developer("outage@example.com")
    return portal.make_key("outage@example.com")[1]


@pytest.mark.parametrize("title", TITLES)
def test_the_page_has_the_runbook_and_its_commands_exist(title: str) -> None:
    steps = runbook(title)
    assert steps
    for step in steps:
        assert not unknown_commands(step.commands)


@pytest.mark.postgresql
def test_everything_answers_503(tmp_path: Path, cluster: Cluster) -> None:
    with Portal(tmp_path, cluster.url).running(workers=1) as portal:
        operator = Operator(portal)
        secret = make_key(portal)
        ask, recovered = runbook("Everything answers 503")
        cluster.stop()
        try:
            wait_until(lambda: status_of(portal, secret) == 503)
            operator.carry_out(ask)
        finally:
            cluster.start()
        wait_until(lambda: status_of(portal, secret) == 200)
        operator.carry_out(recovered)


def test_the_disk_is_full(tmp_path: Path) -> None:
    with portal_database(tmp_path) as database_url, Portal(tmp_path, database_url).running(workers=1) as portal:
        operator = Operator(portal)
        secret = make_key(portal)
        see, recovered = runbook("The disk is full")
        with no_writes(portal):
            wait_until(lambda: b"accepts no writes" in portal.get("/readyz").body)
            operator.carry_out(see)
            assert status_of(portal, secret) == 200
        wait_until(lambda: b"warnings" not in portal.get("/readyz").body)
        operator.carry_out(recovered)


def test_the_mail_server_is_down(tmp_path: Path) -> None:
    port = free_port()
    production = {"KEYPORTAL_LOCAL": "false", "KEYPORTAL_TRUSTED_PROXIES": "127.0.0.1/32"}
    with portal_database(tmp_path) as database_url:
        portal = Portal(tmp_path, database_url, EMAIL_URL=f"smtp://127.0.0.1:{port}")
        portal.environment |= {**production, "KEYPORTAL_URL": "https://portal.example.com"}
        with portal.running(workers=1):
            operator = Operator(portal, ME="operator@example.com")
            see, sent = runbook("The mail server is down")
            make_key(portal)
            portal.revoke_key(portal.shell("print(APIKey.objects.get().pk)"))  # its owner gets a message
            assert portal.shell("print(PendingMessage.objects.filter(given_up_at=None).exists())") == "True"
            operator.carry_out(see)
            with mail_server(Manners.WORKING, port) as server:
                wait_until(lambda: len(server.taken) > 0)
                operator.carry_out(sent)
                assert "operator@example.com" in server.recipients()


def test_a_host_is_lost(tmp_path: Path) -> None:
    with portal_database(tmp_path) as database_url, Portal(tmp_path, database_url).running(workers=1) as lost:
        secret = make_key(lost)
        new = Portal(tmp_path, database_url, **{**lost.environment, "KEYPORTAL_URL": lost.url})
        new.log = tmp_path / "new.log"
        operator = Operator(new)
        check, look = runbook("A host is lost")
        assert lost.process is not None
        os.kill(lost.process.pid, signal.SIGKILL)
        wait_until(lambda: not lost.answers())  # its workers end by themselves
        operator.carry_out(check)
        new.start(workers=1)
        try:
            operator.carry_out(look)
            assert status_of(new, secret) == 200
        finally:
            new.stop()
