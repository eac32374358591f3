"""A storm of revocations on real processes: nobody is let in past the bound, whatever else happens meanwhile.

Two portals on one database (on SQLite one), each with two workers; nginx in between, as a load balancer; and processes
that judge every key over and over. Keys are revoked while everything works, while workers die, while the feed is cut,
and while a portal restarts.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.databases import portal_database
from tests.gateways import started
from tests.portal import ROOT, Portal
from tests.ports import free_port
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.nginx
OWNER: Final = "storm@example.com"
BOUND: Final = 2.0
"""Seconds after the answer to a revocation from which on nobody may be let in."""
JUDGES: Final = 3
EACH: Final = 4
"""Keys that are revoked at each turn of the storm."""
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


class Judge:
    """A process that judges every key over and over, and what it has said."""

    def __init__(self, secrets: Path, portal: str, key: str) -> None:
        environment = {**os.environ, "KEYPORTAL_PORTAL": portal, "KEYPORTAL_KEY": key}
        environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'clients/python'}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.clients.judging_process", str(secrets)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.outcomes: dict[int, str] = {}
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
            said = json.loads(line)
            if "place" in said:
                self.outcomes[said["place"]] = said["outcome"]
            else:
                self.end = said


class Storm:
    """The portals, the balancer, the judges, and when each revocation was acknowledged."""

    def __init__(self, portals: list[Portal], folder: Path, stack: ExitStack) -> None:
        self.portals = portals
        self._folder = folder
        self._port = free_port()
        self._balancing = stack.enter_context(ExitStack())
        self.secrets: list[str] = []
        self.revoked_at: dict[int, float] = {}
        self.judges: list[Judge] = []
        self.balance()

    def balance(self) -> None:
        """Start the load balancer."""
        servers = " ".join(f"server 127.0.0.1:{portal.port} fail_timeout=0;" for portal in self.portals)
        file = self._folder / "balancer.conf"
        file.write_text(BALANCER.format(folder=self._folder, port=self._port, servers=servers))
        self._balancing.enter_context(started(["nginx", "-c", str(file)], [self._port], self._folder))

    def cut(self) -> None:
        """Stop the load balancer, and so cut every feed."""
        self._balancing.close()

    def judge(self, stack: ExitStack) -> None:
        """Start the judges, and wait until all of them let every key in."""
        portal = self.portals[0]
        portal.make_developer(OWNER)
        self.secrets = [portal.make_key(OWNER)[1] for _ in range(EACH * 4 + 1)]
        file = self._folder / "secrets"
        file.write_text("\n".join(self.secrets))
        key = portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted", name="a service")[1]
        self.judges = [Judge(file, f"http://127.0.0.1:{self._port}", key) for _ in range(JUDGES)]
        for each in self.judges:
            stack.callback(each.kill)
        everywhere = set(range(len(self.secrets)))
        wait_until(lambda: all({*each.outcomes} == everywhere and self.all_in(each) for each in self.judges))

    def all_in(self, judge: Judge) -> bool:
        return set(judge.outcomes.values()) == {"accepted"}

    def revoke(self, place: int) -> None:
        """Revoke a key at a portal, past the balancer."""
        headers = {"Authorization": f"Bearer {self.secrets[place]}"}
        assert self.portals[0].request("DELETE", "/api/v1/tokens", headers=headers).status == 204
        self.revoked_at[place] = time.monotonic()  # noqa: TID251  # compared with the judges', not with a limit

    def wait_until_refused(self, places: list[int]) -> None:
        wait_until(lambda: all(each.outcomes[place] == "revoked" for each in self.judges for place in places))


@pytest.fixture
def storm(tmp_path: Path) -> Iterator[Storm]:
    with portal_database(tmp_path) as url, ExitStack() as stack:
        first = stack.enter_context(Portal(tmp_path, url).running())
        portals = [first, *([] if first.is_on_sqlite else [stack.enter_context(second_host(first, tmp_path, url))])]
        made = Storm(portals, tmp_path, stack)
        made.judge(stack)
        yield made


@contextmanager
def second_host(first: Portal, folder: Path, url: str) -> Iterator[Portal]:
    """Start another portal on the same database, with the same secrets."""
    same = {name: value for name, value in first.environment.items() if name.startswith("KEYPORTAL_")}
    second = Portal(folder, url, **same)
    second.log = folder / "second.log"
    second.start()
    try:
        yield second
    finally:
        second.stop()


def workers_of(portal: Portal) -> list[int]:
    assert portal.process is not None
    found = subprocess.run(["pgrep", "-P", str(portal.process.pid)], capture_output=True, text=True, check=True)
    return [int(line) for line in found.stdout.split()]


def is_replaced(portal: Portal, ended: int) -> bool:
    """Return whether a worker has gone, and another is there in its place."""
    now = workers_of(portal)
    return ended not in now and len(now) == 2


def test_nobody_is_let_in_past_the_bound(storm: Storm) -> None:
    turns = [list(range(start, start + EACH)) for start in range(0, 4 * EACH, EACH)]
    for place in turns[0]:
        storm.revoke(place)
    storm.wait_until_refused(turns[0])

    for place in turns[1]:
        ended = workers_of(storm.portals[-1])[0]
        os.kill(ended, signal.SIGTERM)
        storm.revoke(place)
        wait_until(lambda: is_replaced(storm.portals[-1], ended))  # noqa: B023  # called before the next one
    storm.wait_until_refused(turns[1])

    storm.cut()
    for place in turns[2]:
        storm.revoke(place)
    wait_until(lambda: all(each.outcomes[place] == "unavailable" for each in storm.judges for place in turns[2]))
    storm.balance()
    storm.wait_until_refused(turns[2])

    storm.portals[-1].stop()
    storm.portals[-1].start()
    for place in turns[3]:
        storm.revoke(place)
    storm.wait_until_refused(turns[3])

    kept = len(storm.secrets) - 1
    wait_until(lambda: all(each.outcomes[kept] == "accepted" for each in storm.judges))
    for judge in storm.judges:
        judge.finish()
        late = {
            place: judge.end["last_in"][place] - at
            for place, at in storm.revoked_at.items()
            if judge.end["last_in"][place] >= at + BOUND
        }
        assert late == {}
        assert judge.end["checks"] > len(storm.secrets)
        assert all(at > 0 for at in judge.end["last_in"])
