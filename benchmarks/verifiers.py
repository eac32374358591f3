"""Rows 17 to 19: services that judge credentials by records, with the package keyportal-client.

What a check from memory costs, for how long a revoked key is accepted outside of the portal, and what it costs the
portal that verifiers poll.
"""

import asyncio
import os
import statistics
import tempfile
import time
import timeit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.rows import Row, Table, percentile
from keyportal_client import AsyncVerifier, CredentialRefusedError, Verifier
from tests.portal import Portal
from tests.waiting import wait_until
from tests.with_postgres import postgres_cluster

REVOCATIONS: Final = int(os.environ.get("REVOCATIONS", "300")) // 3
ROUNDS: Final = int(os.environ.get("ROUNDS", "10"))
CHECKS: Final = 20_000
SETTINGS: Final = {"KEYPORTAL_LIMIT_SERVICE": "1000000/minute", "KEYPORTAL_USAGE_FLUSH": "5"}
"""The tests' portal writes its counts more often than one in production."""
VERIFIERS: Final = 100
SECONDS: Final = 20.0
OWNER: Final = "verified@example.com"
SCOPE: Final = "bench:read"


def measure() -> list[Table]:
    """Return the table, on PostgreSQL."""
    with _portal() as (portal, service):
        rows = [*_warm_checks(portal, service), _revocations(portal, service), _polls(portal, service)]
    return [Table("Verifiers outside the portal, PostgreSQL", rows)]


@contextmanager
def _portal() -> Iterator[tuple[Portal, str]]:
    """Yield a portal with two workers, and the secret of a service's key."""
    with (
        tempfile.TemporaryDirectory(prefix="keyportal-bench-") as name,
        postgres_cluster() as cluster,
        Portal(Path(name), cluster.url, **SETTINGS).running() as portal,
    ):
        portal.shell(f"Scope.objects.create(name={SCOPE!r}, description='Read')")
        portal.make_developer(OWNER)
        yield portal, portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted")[1]


def _known(verifier: Verifier | AsyncVerifier, secret: str) -> bool:
    store = verifier._state.verdicts.store
    return store.get(store.digest(secret)) is not None


def _warm_checks(portal: Portal, service: str) -> Iterator[Row]:
    """Yield what a check costs that is answered from memory: in a thread, and in an event loop."""
    _, secret = portal.make_key(OWNER, "--scope", SCOPE)
    header = f"Bearer {secret}"
    with Verifier(portal.url, key=service) as verifier:

        def check() -> None:
            verifier.authenticate(header, scopes=(SCOPE,), environment="live", client_ip="192.0.2.7")

        wait_until(lambda: verifier.verify(secret) and _known(verifier, secret))
        yield Row(
            "17",
            "check from memory, `Verifier`",
            _micros(timeit.repeat(check, number=CHECKS, repeat=ROUNDS)),
            "≤ 15 µs",
        )
    yield Row("17", "the same, `AsyncVerifier`", _micros(asyncio.run(_in_loop(portal, service, header))), "≤ 15 µs")


async def _in_loop(portal: Portal, service: str, header: str) -> list[float]:
    """Return the seconds that each round of checks took."""
    took = []
    async with AsyncVerifier(portal.url, key=service) as verifier:
        while not _known(verifier, header.removeprefix("Bearer ")):
            await verifier.authenticate(header)
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for _ in range(CHECKS):
                await verifier.authenticate(header, scopes=(SCOPE,), environment="live", client_ip="192.0.2.7")
            took.append(time.perf_counter() - began)
    return took


def _micros(rounds: list[float]) -> str:
    micros = [seconds / CHECKS * 1e6 for seconds in rounds]
    return f"{statistics.median(micros):.1f} µs ({min(micros):.1f} to {max(micros):.1f})"


def _revocations(portal: Portal, service: str) -> Row:
    """Return for how long revoked keys were accepted."""
    with Verifier(portal.url, key=service) as verifier:
        stale = [_staleness(portal, verifier) for _ in range(REVOCATIONS)]
    what = f"from the answer to a revocation to the last time that a verifier accepted the key, {REVOCATIONS} times"
    reached = f"p99 {percentile(stale, 99) * 1000:.0f} ms, worst {max(stale) * 1000:.0f} ms"
    return Row("18", what, reached, "p99 ≤ 400 ms, worst ≤ 2 s")


def _staleness(portal: Portal, verifier: Verifier) -> float:
    """Revoke a key that a verifier knows; return the seconds from the answer until it is refused."""
    _, secret = portal.make_key(OWNER)
    wait_until(lambda: verifier.verify(secret) and _known(verifier, secret))
    portal.request("DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {secret}"})
    revoked = last_good = time.monotonic()
    while True:
        try:
            verifier.verify(secret)
        except CredentialRefusedError:
            return last_good - revoked
        last_good = time.monotonic()


def _polls(portal: Portal, service: str) -> Row:
    """Return what part of a core the portal spends on verifiers that keep one record each, and have nothing to ask."""
    _, secret = portal.make_key(OWNER)
    time.sleep(2)
    without = _busy(portal)
    with ExitStack() as stack:
        for _ in range(VERIFIERS):
            verifier = stack.enter_context(Verifier(portal.url, key=service))
            verifier.verify(secret)
        time.sleep(2)
        spent = _busy(portal) - without
        time.sleep(10)  # after which they rest
        idle = _busy(portal) - without
    reached = f"{idle:.1%} of a core; {spent:.1%} before they rest"
    return Row("19", f"the portal's cost of {VERIFIERS} verifiers that nobody calls", reached, "≤ 3 %")


def _busy(portal: Portal) -> float:
    """Return the part of a core that the portal's processes use, over a while."""
    before = _cpu_seconds(portal)
    time.sleep(SECONDS)
    return (_cpu_seconds(portal) - before) / SECONDS


def _cpu_seconds(portal: Portal) -> float:
    """Return the processor time of the portal's processes so far (proc(5))."""
    server, ticks = portal.process.pid if portal.process else 0, 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        number, _, rest = stat.read_text().rpartition(")")
        fields = rest.split()
        if server in (int(number.split(" ")[0]), int(fields[1])):
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
