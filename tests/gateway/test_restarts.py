"""Servers of keyportal are restarted one by one behind a gateway, and no client notices."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.databases import portal_database
from tests.gateways import caddy, haproxy, nginx
from tests.oauth_client import ClientKey
from tests.portal import Portal
from tests.ports import free_port
from tests.services import serving
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.second
OWNER = "restarts@example.com"
RESTARTS = 2


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Portal]]:
    """Two servers of one portal."""
    folder: Path = tmp_path_factory.mktemp("pair")
    with portal_database(folder) as database_url, Portal(folder, database_url).running(workers=1) as first:
        second = Portal(folder, database_url, **{**first.environment, "KEYPORTAL_URL": first.url})
        second.log = folder / "second.log"
        second.start(workers=1)
        first.make_developer(OWNER)
        first.shell("Scope.objects.create(name='reports:read', description='x')")
        try:
            yield [first, second]
        finally:
            second.stop()


def ask_until(over: threading.Event, port: int, secret: str, seen: "Counter[int]") -> None:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    while not over.is_set():
        line.request("GET", "/reports/1", headers={"Authorization": f"Bearer {secret}"})
        answer = line.getresponse()
        answer.read()
        seen[answer.status] += 1
    line.close()


def have_asked(counts: "list[Counter[int]]", before: list[int]) -> bool:
    """Return whether everybody has asked often since then: while a server stopped and started, and a little after."""
    return all(now.total() > then + 50 for now, then in zip(counts, before, strict=True))


@pytest.mark.conformance("FA-04")
@pytest.mark.parametrize(
    "gateway",
    [
        pytest.param(nginx, marks=pytest.mark.nginx),
        pytest.param(caddy, marks=pytest.mark.caddy),
        pytest.param(haproxy, marks=pytest.mark.haproxy),
    ],
)
def test_no_answer_is_wrong_or_missing_while_servers_are_restarted(
    pair: list[Portal], tmp_path: Path, gateway: Callable[..., Any]
) -> None:
    first = pair[0]
    good, revoked = (ClientKey(*first.make_key(OWNER, "--scope", "reports:read")) for _ in range(2))
    first.revoke_key(revoked.id)
    over, port = threading.Event(), free_port()
    seen: dict[str, Counter[int]] = {good.secret: Counter(), revoked.secret: Counter()}
    with serving() as (api, _), gateway(tmp_path, port, [portal.port for portal in pair], api):
        askers = [
            threading.Thread(target=ask_until, args=(over, port, secret, counts)) for secret, counts in seen.items()
        ]
        for asker in askers:
            asker.start()
        for number in range(RESTARTS):
            portal = pair[number % 2]
            asked = [counts.total() for counts in seen.values()]
            portal.stop()
            portal.start(workers=1)
            wait_until(partial(have_asked, list(seen.values()), asked))
        over.set()
        for asker in askers:
            asker.join()
    assert list(seen[good.secret]) == [200]
    assert list(seen[revoked.secret]) == [401]
