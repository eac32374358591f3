"""Rows 8 and 9: how long a revoked key is still accepted, by two servers of two workers on one PostgreSQL."""

import http.client
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from benchmarks.rows import Row, Table, percentile
from tests.portal import Portal
from tests.proxy import Proxy, proxy_to
from tests.with_postgres import postgres_cluster

REVOCATIONS = int(os.environ.get("REVOCATIONS", "300"))
CUTS = int(os.environ.get("CUTS", "10"))
LINES = 6  # connections to each server, so that some reach each of its workers
OWNER = "stale@example.com"


class KeyPoller:
    """Sends a key to both servers over and over, and stores when it was last accepted."""

    def __init__(self, portals: list[Portal], secret: str) -> None:
        self.last_good = 0.0
        self.sent = 0
        self.refused = threading.Event()
        self._head = {"Authorization": f"Bearer {secret}"}
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._send, args=(portal,)) for portal in portals for _ in range(LINES)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop sending, and wait for the threads."""
        self._stopped = True
        for thread in self._threads:
            thread.join()

    def _send(self, portal: Portal) -> None:
        line = http.client.HTTPConnection("127.0.0.1", portal.port, timeout=10)
        while not self._stopped:
            line.request("GET", "/gateway/auth", headers=self._head)
            answer = line.getresponse()
            answer.read()
            self.sent += 1
            if answer.status == HTTPStatus.OK:
                self.last_good = time.monotonic()
        line.close()


@contextmanager
def two_servers() -> Iterator[tuple[list[Portal], Proxy]]:
    """Yield two portals on one database, and the proxy through which the second one reaches it."""
    with (
        tempfile.TemporaryDirectory(prefix="keyportal-bench-") as name,
        postgres_cluster() as cluster,
        proxy_to(cluster.port) as proxy,
    ):
        first = Portal(Path(name), cluster.url)
        secrets = {kind: text for kind, text in first.environment.items() if "KEY" in kind and "URL" not in kind}
        url = cluster.url.replace(f":{cluster.port}/", f":{proxy.port}/")
        second = Portal(Path(name), url, **{**secrets, "KEYPORTAL_URL": first.url})
        second.log = Path(name) / "second.log"
        with first.running():
            second.start()
            try:
                first.make_developer(OWNER)
                yield [first, second], proxy
            finally:
                second.stop()


def staleness_of(portals: list[Portal], *, pause: float, poll_for: float) -> float:
    """Revoke a key that both servers know; return the seconds from the answer to the last 200, 0 if there was none."""
    _, secret = portals[0].make_key(OWNER)
    poller = KeyPoller(portals, secret)
    time.sleep(pause)
    answer = portals[0].request("DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {secret}"})
    revoked = time.monotonic()
    if answer.status != HTTPStatus.NO_CONTENT:
        raise RuntimeError(f"the key was not revoked: {answer.status}")
    time.sleep(poll_for)
    poller.stop()
    return max(0.0, poller.last_good - revoked)


def measure() -> list[Table]:
    """Return the table: under normal conditions, and with the second server's connection to the database silenced."""
    with two_servers() as (portals, proxy):
        stale = [staleness_of(portals, pause=0.05, poll_for=0.3) for _ in range(REVOCATIONS)]
        cut_off = []
        for _ in range(CUTS):
            while not proxy.silence(b"keyportal_"):  # the channel of the heartbeats
                time.sleep(0.05)
            cut_off.append(staleness_of(portals, pause=0.1, poll_for=3.0))
    reached = f"p99 {percentile(stale, 99) * 1000:.0f} ms, worst {max(stale) * 1000:.0f} ms"
    without = f"worst {max(cut_off):.2f} s"
    what = f"from the answer to a revocation to the last 200 of two servers with two workers each, {REVOCATIONS} times"
    rows = [
        Row("8", what, reached, "p99 ≤ 20 ms, worst ≤ 100 ms"),
        Row("9", f"the same while a listener is cut off, {CUTS} times", without, "≤ 2 s"),
    ]
    return [Table("Revocation, PostgreSQL", rows)]
