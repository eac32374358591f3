"""Pages that wait for the database: verdicts do not wait for them, and every request is answered in the end."""

import select
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.oauth_client import ClientKey
from tests.parallel import all_at_once
from tests.portal import Portal
from tests.waiting import wait_until
from tests.wire import Wire
from tests.with_postgres import Cluster

pytestmark = [pytest.mark.once, pytest.mark.postgresql, pytest.mark.finding("H41")]
PAGES: Final = 32
OWNER: Final = "stuck@example.com"
AS_INSTALLED: Final = {
    "KEYPORTAL_VERDICT_TIMEOUT": "1.25",
    "KEYPORTAL_REQUEST_TIMEOUT": "8.5",
    "KEYPORTAL_VERDICT_THREADS": "2",
    "KEYPORTAL_REQUEST_THREADS": "4",
}


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal on a PostgreSQL of its own, with the threads and deadlines of a new installation."""
    folder: Path = tmp_path_factory.mktemp("stuck")
    with Portal(folder, cluster.url, **AS_INSTALLED).running() as started:
        started.make_developer(OWNER)
        yield started


@pytest.fixture
def known(site: Portal) -> ClientKey:
    """A key that both workers have cached."""
    client = ClientKey(*site.make_key(OWNER))
    wait_until(lambda: {verdict(site, client) for _ in range(20)} == {200})
    return client


def verdict(site: Portal, client: ClientKey) -> int:
    return site.get("/gateway/auth", Authorization=f"Bearer {client.secret}").status


@contextmanager
def waiting_pages(site: Portal) -> Iterator[list[Wire]]:
    """Ask for pages whose session must be looked up, more than there are threads, and wait for none."""
    raw = f"GET /keys/ HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nCookie: sessionid={'a' * 43}\r\n\r\n".encode()
    with ExitStack() as opened:
        yield [opened.enter_context(closing(Wire(site.port))).send(raw) for _ in range(PAGES)]


def some_wait(pages: list[Wire]) -> bool:
    answered, _, _ = select.select(pages, [], [], 0)
    return len(answered) < len(pages)


def test_while_pages_wait_for_a_lock_what_is_remembered_is_answered(
    site: Portal, cluster: Cluster, known: ClientKey
) -> None:
    with psycopg.connect(cluster.url) as other:
        other.execute("LOCK TABLE django_session IN ACCESS EXCLUSIVE MODE")
        with waiting_pages(site) as pages:
            assert {verdict(site, known) for _ in range(100)} == {200}
            asked_first = ClientKey(*site.make_key(OWNER))
            assert verdict(site, asked_first) == 200  # the lock is none that a verdict needs
            assert site.get("/healthz").status == 200
            assert {page.reply().status for page in pages} == {503}
        other.rollback()


def test_with_a_database_that_hangs_verdicts_are_503_before_pages_are(
    site: Portal, cluster: Cluster, known: ClientKey
) -> None:
    unknown = [ClientKey(*site.make_key(OWNER)) for _ in range(8)]
    cluster.freeze()
    try:
        with waiting_pages(site) as pages:
            assert set(all_at_once(len(unknown), lambda number: verdict(site, unknown[number]))) == {503}
            assert some_wait(pages)
            assert site.get("/healthz").status == 200
            assert {page.reply().status for page in pages} == {503}
    finally:
        cluster.thaw()
    wait_until(lambda: {verdict(site, client) for client in [known, *unknown]} == {200})
