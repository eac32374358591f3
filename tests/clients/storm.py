"""Portals with two workers each, nginx in between as a load balancer, and verifiers that check every key over and over.

Some verifiers are processes with the Python client; one is nginx with the module of clients/nginx, in front of a
service.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from tests.databases import portal_database
from tests.edges import running_edge
from tests.gateways import started
from tests.portal import ROOT, Portal
from tests.ports import free_port
from tests.waiting import DEADLINE, wait_until

OWNER: Final = "storm@example.com"
PROCESSES: Final = 2
"""With the Python client."""
BALANCER: Final = """
pid {folder}/balancer.pid; error_log stderr; daemon off;
events {{}}
http {{
  access_log off;
  upstream portals {{ {servers} keepalive 8; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://portals;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_next_upstream error timeout http_503 non_idempotent;
      proxy_connect_timeout 1s;
      proxy_read_timeout 3s;
    }}
  }}
}}
"""
OPEN: Final = """
    location /open/ {
        access_by_lua_block { require("keyportal").protect {} }
        proxy_pass http://api;
    }
"""
SERVICE: Final = "server {{ listen 127.0.0.1:{port}; location / {{ return 200 ok; }} }}\n"


class Checker:
    """A process that checks every key over and over, and what it has written."""

    def __init__(self, secrets: Path, *arguments: str, **environment: str) -> None:
        path = f"{ROOT}:{ROOT / 'clients/python'}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.clients.checking_process", str(secrets), *arguments],
            cwd=ROOT,
            env={**os.environ, **environment, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.outcomes: dict[int, str] = {}
        """Of each key, by its place: `accepted`, or the code of the refusal."""
        self.end: dict[str, Any] = {}
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def finish(self) -> None:
        """Have the process end, and read its last line."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=DEADLINE)
        self._listening.join(DEADLINE)

    def kill(self) -> None:
        """End the process if it still runs, and close what it had."""
        self.process.kill()
        self.process.wait(timeout=DEADLINE)
        self._listening.join(DEADLINE)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            written = json.loads(line)
            if "place" in written:
                self.outcomes[written["place"]] = written["outcome"]
            else:
                self.end = written


class Storm:
    """The portals, the balancer, the checkers, and when each revocation was acknowledged."""

    def __init__(self, portals: list[Portal], folder: Path, stack: ExitStack) -> None:
        self.portals = portals
        self.secrets: list[str] = []
        self.revoked_at: dict[int, float] = {}
        """By the place of the key: when the portal had answered, on the machine's monotonic clock."""
        self.checkers: list[Checker] = []
        self._folder = folder
        self._stack = stack
        self._port = free_port()
        self._balancing = stack.enter_context(ExitStack())
        self.balance()
        portals[0].make_developer(OWNER)
        arguments = ("--scope", "credentials:verify", "--restricted")
        self._service_key = portals[0].make_key(OWNER, *arguments, name="a service")[1]

    def balance(self) -> None:
        """Start the load balancer."""
        servers = " ".join(f"server 127.0.0.1:{portal.port} fail_timeout=0;" for portal in self.portals)
        file = self._folder / "balancer.conf"
        file.write_text(BALANCER.format(folder=self._folder, port=self._port, servers=servers))
        self._balancing.enter_context(started(["nginx", "-c", str(file)], [self._port], self._folder))

    def cut(self) -> None:
        """Stop the load balancer, and so cut every feed."""
        self._balancing.close()

    def start_edge(self, *, as_shipped: bool = False) -> int:
        """Start nginx with the module, in front of a service; return its port."""
        folder, port, api = self._folder / "edge", free_port(), free_port()
        folder.mkdir()
        (folder / "keyportal.key").write_text(self._service_key)
        edge = running_edge(
            folder,
            port,
            f"http://127.0.0.1:{self._port}",
            api,
            locations=OPEN,
            beside=SERVICE.format(port=api),
            as_shipped=as_shipped,
        )
        self._stack.enter_context(edge)
        return port

    def check(self, amount: int, *, edge: int) -> None:
        """Start checkers of so many new keys, and wait until all of them accept every key."""
        portal = self.portals[0]
        self.revoked_at = {}
        self.secrets = [portal.make_key(OWNER)[1] for _ in range(amount)]
        file = self._folder / "secrets"
        file.write_text("\n".join(self.secrets))
        known = {"KEYPORTAL_PORTAL": f"http://127.0.0.1:{self._port}", "KEYPORTAL_KEY": self._service_key}
        self.checkers = [Checker(file, **known) for _ in range(PROCESSES)] + [Checker(file, str(edge))]
        for checker in self.checkers:
            self._stack.callback(checker.kill)
        everywhere = dict.fromkeys(range(amount), "accepted")
        wait_until(lambda: all(checker.outcomes == everywhere for checker in self.checkers))

    def revoke(self, place: int) -> None:
        """Revoke a key at a portal, past the balancer; again if a worker that ends has taken the answer with it."""
        headers = {"Authorization": f"Bearer {self.secrets[place]}"}
        status, expected = 0, {204}
        while not status:
            try:
                status = self.portals[0].request("DELETE", "/api/v1/tokens", headers=headers).status
            except ConnectionError:
                expected = {204, 401}  # it may have been revoked then
        assert status in expected
        self.revoked_at[place] = time.monotonic()  # noqa: TID251  # compared with the checkers', not with a limit

    def wait_for(self, outcome: str, places: list[int]) -> None:
        """Return once every checker has this outcome for these keys."""
        wait_until(lambda: all(checker.outcomes[place] == outcome for checker in self.checkers for place in places))

    def finish(self) -> None:
        """End the checkers, and see that each has checked every key at least twice and accepted it once."""
        for checker in self.checkers:
            checker.finish()
            assert checker.end["checks"] >= 2 * len(self.secrets)
            assert all(at > 0 for at in checker.end["accepted_at"])

    def staleness(self) -> list[float]:
        """Return of each key and checker the seconds from the answer to the revocation to the last time it got in."""
        return [
            checker.end["accepted_at"][place] - at for checker in self.checkers for place, at in self.revoked_at.items()
        ]


@contextmanager
def storm_over(folder: Path, database_url: str) -> Iterator[Storm]:
    """Yield two portals on one PostgreSQL, or one on SQLite, behind the balancer."""
    with ExitStack() as stack:
        first = stack.enter_context(Portal(folder, database_url).running())
        portals = [first]
        if not first.is_on_sqlite:
            portals.append(stack.enter_context(_second_host(first, folder, database_url)))
        yield Storm(portals, folder, stack)


@contextmanager
def storm_in(folder: Path) -> Iterator[Storm]:
    """Yield the same on the database that this run of the tests is for."""
    with portal_database(folder) as database_url, storm_over(folder, database_url) as storm:
        yield storm


@contextmanager
def _second_host(first: Portal, folder: Path, database_url: str) -> Iterator[Portal]:
    """Start another portal on the same database, with the same secrets."""
    same = {name: value for name, value in first.environment.items() if name.startswith("KEYPORTAL_")}
    second = Portal(folder, database_url, **same)
    second.log = folder / "second.log"
    second.start()
    try:
        yield second
    finally:
        second.stop()


def workers_of(portal: Portal) -> list[int]:
    """Return the ids of a portal's worker processes."""
    assert portal.process is not None
    found = subprocess.run(["pgrep", "-P", str(portal.process.pid)], capture_output=True, text=True, check=True)
    return [int(line) for line in found.stdout.split()]
