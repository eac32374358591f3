"""A portal on a SQLite file that a test replaces, and the ways to do it."""

import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from credentials.verified_cache.database_file import CHECK_EVERY
from tests.databases import portal_database
from tests.oauth_client import ClientKey
from tests.parallel import all_at_once
from tests.portal import Portal
from tests.staleness import IN_A_ROW, ON_SQLITE, wait_until_refused_for_good
from tests.waiting import wait_until


class FileSite(Portal):
    """A portal on a SQLite file that a test replaces, takes away or writes into."""

    began_at = 0
    """Where in the log the test begins."""

    @property
    def file(self) -> Path:
        """Where the settings say that it is."""
        return Path(self.environment["DATABASE_URL"].removeprefix("sqlite:///"))

    def copy(self) -> Path:
        """Return a whole copy of the database beside it, made as SQLite advises."""
        copy = self.file.with_name(f"copy-{secrets.token_hex(4)}.sqlite3")
        with closing(sqlite3.connect(self.file)) as live, closing(sqlite3.connect(copy)) as target:
            live.backup(target)
        return copy

    def sql(self, file: Path, statement: str, *values: object) -> int:
        """Run a statement in a file; return how many rows it changed. Closing it brings its log into it."""
        with closing(sqlite3.connect(file, timeout=30)) as connection:
            changed = connection.execute(statement, values).rowcount
            connection.commit()
        return changed

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        with closing(sqlite3.connect(self.file, timeout=30)) as connection:
            return connection.execute(statement).fetchall()

    def checkpoint(self) -> None:
        """Bring the log into the file."""
        wait_until(lambda: self.rows("PRAGMA wal_checkpoint(TRUNCATE)") == [(0, 0, 0)])

    def log_count(self, text: str) -> int:
        """Return how often the workers have logged something since the test began."""
        return self.log.read_bytes()[self.began_at :].decode().count(text)

    def client(self) -> ClientKey:
        """Make a key that every thread of every worker has used."""
        client = ClientKey(*self.make_key(OWNER))
        assert self.statuses(client) == {200}
        return client

    def status_of(self, client: ClientKey) -> int:
        """Return the status of a verdict."""
        return self.get("/gateway/auth", Authorization=f"Bearer {client.secret}").status

    def statuses(self, client: ClientKey) -> set[int]:
        """Return the statuses that come from all threads."""
        return {status for _ in range(3) for status in all_at_once(2 * self.threads, lambda _: self.status_of(client))}

    def wait_until_all_refuse(self, client: ClientKey) -> None:
        """Wait until every thread refuses; none may let it in again.

        Between two looks of a worker one of its threads may have a page of the file of before, and another one not.
        """
        wait_until_refused_for_good(lambda: self.status_of(client), lasting=2 * CHECK_EVERY)
        assert self.statuses(client) == {401}

    def wait_until_all_accept(self, client: ClientKey) -> None:
        """Wait until every thread lets it in."""
        wait_until(lambda: self.statuses(client) == {200})


OWNER = "file@example.com"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileSite]:
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        if not ON_SQLITE:
            patch.setenv("DATABASE_URL", "sqlite")
        with portal_database(folder) as database_url:
            site = FileSite(folder, database_url)
            with site.running():
                site.make_developer(OWNER)
                yield site


@pytest.fixture
def site(started: FileSite) -> FileSite:
    """The portal, well, on the file that the test before has left, under its one name."""
    if started.file.is_symlink():
        started.stop()
        started.checkpoint()
        # Of the file that was there before the link: a worker that was ended with it open has left it.
        for ending in ("-wal", "-shm"):
            Path(f"{started.file}{ending}").unlink(missing_ok=True)
        started.file.resolve().replace(started.file)
    if started.process is None:
        started.start()
    for left in started.folder.glob("*.set-aside-*"):
        left.unlink()
    wait_until(lambda: {started.get("/readyz").status for _ in range(IN_A_ROW)} == {200})
    started.began_at = started.log.stat().st_size
    return started


def move_over_the_file_alone(site: FileSite, copy: Path) -> None:
    """As `mv` does it: the log of the file that was there stays behind."""
    copy.replace(site.file)


def move_over_file_and_log(site: FileSite, copy: Path) -> None:
    copy.replace(site.file)
    for ending in ("-wal", "-shm"):
        Path(f"{site.file}{ending}").unlink()


def move_away_and_back(site: FileSite, copy: Path) -> None:
    site.file.rename(site.file.with_name("old.sqlite3"))
    wait_until(lambda: site.get("/readyz").status == 503)
    copy.rename(site.file)


def replace_by_link(site: FileSite, copy: Path) -> None:
    site.file.rename(site.file.with_name("old.sqlite3"))
    site.file.symlink_to(copy)


def restore_by_sqlite(site: FileSite, copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(site.file, timeout=30)) as live:
        source.backup(live)


def write_into_file(site: FileSite, copy: Path) -> None:
    """As `cp` does it, once the log is empty: device and inode stay as they were."""
    with closing(sqlite3.connect(site.file, timeout=30)) as live:
        wait_until(lambda: live.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0))
    shutil.copyfile(copy, site.file)


WAYS = [
    move_over_the_file_alone,
    move_over_file_and_log,
    move_away_and_back,
    replace_by_link,
    restore_by_sqlite,
    write_into_file,
]
