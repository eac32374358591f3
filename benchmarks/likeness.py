"""How similar in time answers are that must not reveal anything, and how long a verdict waits if the database hangs.

The tests count the work, and check that there is an answer at all. This measures what a client could time: the fastest
of many tries each, because other load on the machine only adds time.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.rows import Row, Table, spread
from credentials.verdict_query.query_timeout import VERDICT_TIMEOUT
from tests.oauth_client import FORGET_GUESSES, ClientKey, OAuthClient
from tests.portal import Portal
from tests.with_postgres import Cluster, postgres_cluster
from vault.secret_format import new_id, new_secret

TRIES: Final = 30
FROZEN_TRIES: Final = 10
OWNER: Final = "likeness@example.com"
UNUSABLE: Final = (
    "from audit.origin import Origin; from accounts.services import create_user; "
    "create_user(email='unusable@example.com', password=None, confirmed=True, origin=Origin.of_command('bench'))"
)


def measure() -> list[Table]:
    """Return the table for PostgreSQL, where each write costs a commit to disk."""
    with (
        TemporaryDirectory(prefix="keyportal-bench-") as name,
        postgres_cluster() as cluster,
        Portal(Path(name), cluster.url).running() as portal,
    ):
        portal.make_developer(OWNER)
        portal.shell(UNUSABLE)
        key, secret = portal.make_key(OWNER)
        rows = [_measure_passwords(portal), _measure_clients(portal, key), _measure_hanging(portal, cluster, secret)]
    return [Table("Answers that must reveal nothing, and a database that hangs, PostgreSQL", rows)]


def _measure_passwords(portal: Portal) -> Row:
    oauth_client = OAuthClient(portal)
    emails = {"a wrong password": OWNER, "no such account": "nobody@example.com", "no password": "unusable@example.com"}
    guesses = {name: partial(oauth_client.password, email, "wrong") for name, email in emails.items()}
    what = f"the slowest / the quickest of {', '.join(emails)}, by HTTP Basic"
    return Row("-", what, f"{_slowest_to_quickest(portal, guesses):.3f}", "≤ 1.15")


def _measure_clients(portal: Portal, key: str) -> Row:
    wrong, grant = new_secret("kp", "live"), {"grant_type": "client_credentials"}
    send = OAuthClient(portal).token
    tries = {name: partial(send, grant, client=ClientKey(name, wrong)) for name in (key, new_id("key"))}
    return Row(
        "-", "the same of an unknown client and a wrong secret", f"{_slowest_to_quickest(portal, tries):.3f}", "≤ 1.2"
    )


def _measure_hanging(portal: Portal, cluster: Cluster, secret: str) -> Row:
    ratios = []
    for _ in range(FROZEN_TRIES):
        cluster.freeze()
        try:
            time.sleep(3.0)  # until no worker answers from memory
            started = time.perf_counter()
            portal.get("/gateway/auth", Authorization=f"Bearer {secret}")
            ratios.append((time.perf_counter() - started) / VERDICT_TIMEOUT)
        finally:
            cluster.thaw()
        while portal.get("/gateway/auth", Authorization=f"Bearer {secret}").status != 200:  # noqa: PLR2004
            time.sleep(0.1)
    return Row("-", f"a verdict while the database hangs / the wait of {VERDICT_TIMEOUT} s", spread(ratios), "≤ 1.2")


def _slowest_to_quickest(portal: Portal, actions: Mapping[str, Callable[[], object]]) -> float:
    """Return the ratio of the slowest to the quickest, each measured by its fastest try."""
    fastest = dict.fromkeys(actions, float("inf"))
    for _ in range(TRIES):
        for name, action in actions.items():
            portal.shell(FORGET_GUESSES)
            started = time.perf_counter()
            action()
            fastest[name] = min(fastest[name], time.perf_counter() - started)
    return max(fastest.values()) / min(fastest.values())
