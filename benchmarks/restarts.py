"""A million requests through nginx while the portals behind it are restarted one by one, without one wrong answer.

Two portals on one PostgreSQL behind nginx with the files of deploy/. One wrk sends a good key, another a revoked one.
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.rows import Row, Table
from tests.gateways import nginx
from tests.portal import Portal
from tests.ports import free_port
from tests.with_postgres import postgres_cluster

REQUESTS = int(os.environ.get("REQUESTS", "1000000"))
OWNER = "restarts@example.com"
COUNT = """
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args) seen = "" ; counts = {} end
function response(status, headers, body)
  counts[status] = (counts[status] or 0) + 1
  seen = ""
  for code, count in pairs(counts) do seen = seen .. code .. "=" .. count .. " " end
end
function done(summary, latency, requests)
  for _, thread in ipairs(threads) do print("statuses " .. thread:get("seen")) end
end
"""


class Storm(NamedTuple):
    """The answers, and the number of restarts meanwhile."""

    good: dict[int, int]
    """Answers to requests with the good key, counted by status."""
    revoked: dict[int, int]
    restarts: int


def measure() -> list[Table]:
    """Return the table, after a million answers."""
    good: dict[int, int] = {}
    revoked: dict[int, int] = {}
    restarts = 0
    with tempfile.TemporaryDirectory(prefix="keyportal-bench-") as name, postgres_cluster() as cluster:
        folder = Path(name)
        first = Portal(folder, cluster.url)
        second = Portal(folder, cluster.url, **{**first.environment, "KEYPORTAL_URL": first.url})
        second.log = folder / "second.log"
        port, api = free_port(), free_port()
        answering = f"server {{ listen 127.0.0.1:{api}; location / {{ return 200 ok; }} }}\n"
        with first.running(), nginx(folder, port, [first.port, second.port], api, beside=answering):
            second.start()
            try:
                while sum(good.values()) + sum(revoked.values()) < REQUESTS:
                    storm = _storm(folder, port, [first, second])
                    restarts += storm.restarts
                    for total, seen in ((good, storm.good), (revoked, storm.revoked)):
                        for status, count in seen.items():
                            total[status] = total.get(status, 0) + count
            finally:
                second.stop()
    sent = sum(good.values()) + sum(revoked.values())
    wrong = sent - good.get(200, 0) - revoked.get(401, 0)
    reached = f"{wrong} wrong (good key: {good}; revoked key: {revoked})"
    what = f"{sent:,} requests through nginx during {restarts} restarts of the two portals"
    return [Table("Restarts, PostgreSQL", [Row("-", what, reached, "0 wrong")])]


def _storm(folder: Path, port: int, portals: list[Portal]) -> Storm:
    """Send requests for twenty seconds while the portals are restarted one after the other."""
    if not (folder / "count.lua").exists():
        (folder / "count.lua").write_text(COUNT)
        portals[0].make_developer(OWNER)
        portals[0].shell("Scope.objects.create(name='reports:read', description='x')")
    _, good = portals[0].make_key(OWNER, "--scope", "reports:read")
    key, revoked = portals[0].make_key(OWNER, "--scope", "reports:read")
    portals[0].command("revokekey", key, "--reason", "bench")
    senders = [_send(folder, port, secret) for secret in (good, revoked)]
    restarts = 0
    while any(sender.poll() is None for sender in senders):
        portal = portals[restarts % len(portals)]
        portal.stop()
        portal.start()
        restarts += 1
    answers = [_statuses(sender.communicate()[0]) for sender in senders]
    return Storm(answers[0], answers[1], restarts)


def _send(folder: Path, port: int, secret: str) -> subprocess.Popen[str]:
    head = f"Authorization: Bearer {secret}"
    command = ["wrk", "-t1", "-c4", "-d20s", "-H", head, "-s", str(folder / "count.lua")]
    return subprocess.Popen([*command, f"http://127.0.0.1:{port}/reports/1"], stdout=subprocess.PIPE, text=True)


def _statuses(printed: str) -> dict[int, int]:
    return {int(status): int(count) for status, count in re.findall(r"(\d{3})=(\d+)", printed)}
