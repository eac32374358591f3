"""Who replaces what is killed, what ends with its parent, and when a service manager hears that the portal is ready."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from keyportal.http_server.worker import bound_to
from tests.clients.storm import workers_of
from tests.databases import portal_database
from tests.portal import Portal
from tests.waiting import DEADLINE, wait_until

pytestmark = [pytest.mark.once, pytest.mark.finding("H45")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Portal]:
    """A portal of the test's own, which may be killed."""
    with portal_database(tmp_path) as database_url:
        portal = Portal(tmp_path, database_url)
        yield portal
        portal.stop()


def has_ended(process: int) -> bool:
    """Return whether a process is gone, or a zombie that nobody has buried yet."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_a_killed_worker_is_replaced_while_the_other_answers(site: Portal) -> None:
    site.start()
    killed, other = workers_of(site)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: killed not in workers_of(site) and len(workers_of(site)) == 2)
    wait_until(lambda: site.log.read_bytes().count(b"Started worker ") == 3)
    assert other in workers_of(site)
    assert site.answers()


def test_workers_end_with_their_parent_and_leave_the_port_to_the_next_start(site: Portal) -> None:
    """Otherwise they would share the port with it: old code, old secrets, for each second call."""
    site.start()
    workers = workers_of(site)
    assert site.process
    os.kill(site.process.pid, signal.SIGKILL)
    wait_until(lambda: all(map(has_ended, workers)))
    bound_to(("127.0.0.1", site.port), is_shared=False).close()
    site.start()
    assert site.answers()


class Configured(Portal):
    """One that listens where its settings say."""

    def listens_at(self) -> list[str]:
        self.environment["KEYPORTAL_BIND"] = f"127.0.0.1:{self.port}, unix:{self.folder}/socket"
        return []


def test_the_settings_say_where_the_server_listens(tmp_path: Path) -> None:
    with portal_database(tmp_path) as database_url, Configured(tmp_path, database_url).running(workers=1) as site:
        assert site.answers()
        with closing(site.line()) as line:
            line.sock = socket.socket(socket.AF_UNIX)
            line.sock.connect(f"{tmp_path}/socket")
            line.request("GET", "/healthz")
            assert line.getresponse().status == 200


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_the_service_manager_hears_of_the_portal_when_it_answers(site: Portal, kind: str) -> None:
    name = str(site.folder / "notify") if kind == "path" else f"@keyportal-test-{site.port}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        manager.settimeout(DEADLINE)
        site.environment["NOTIFY_SOCKET"] = name
        site.spawn(workers=1)
        assert manager.recv(100) == b"READY=1"  # gunicorn's own notice has a status line
        assert site.answers()


def test_a_service_manager_that_does_not_listen_keeps_nobody_from_serving(site: Portal) -> None:
    site.environment["NOTIFY_SOCKET"] = str(site.folder / "nobody")
    site.start(workers=1)
    assert "does not hear that the portal is ready: No such file or directory" in site.log.read_text()
