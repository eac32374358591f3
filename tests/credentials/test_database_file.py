"""SQLite's file replaced, taken away, restored or overwritten while two workers of many threads have it open."""

import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from credentials.verified_cache.database_file import CHECK_EVERY
from tests.databases import portal_database
from tests.oauth_client import ClientKey, OAuthClient
from tests.parallel import all_at_once
from tests.portal import Portal
from tests.staleness import IN_A_ROW, ON_SQLITE, refused_for_good
from tests.waiting import wait_until
from vault.rings import new_entry

pytestmark = [pytest.mark.once, pytest.mark.finding("H43")]

REVOKE = "UPDATE apikeys_apikey SET revoked_at = created_at WHERE id = ?"
REPLACED = "the database file was replaced"


class Site(Portal):
    """A portal on a SQLite file that somebody handles."""

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
        """Return what a question gives."""
        with closing(sqlite3.connect(self.file, timeout=30)) as connection:
            return connection.execute(statement).fetchall()

    def empty_log(self) -> None:
        """Bring the log into the file."""
        wait_until(lambda: self.rows("PRAGMA wal_checkpoint(TRUNCATE)") == [(0, 0, 0)])

    def said(self, text: str) -> int:
        """Return how often the workers have said something since the test began."""
        return self.log.read_bytes()[self.began_at :].decode().count(text)

    def client(self) -> ClientKey:
        """Make a key that every thread of every worker has used."""
        client = ClientKey(*self.make_key(OWNER))
        assert self.statuses(client) == {200}
        return client

    def ask(self, client: ClientKey) -> int:
        """Return the status of a verdict."""
        return self.get("/gateway/auth", Authorization=f"Bearer {client.secret}").status

    def statuses(self, client: ClientKey) -> set[int]:
        """Return the statuses that come from all threads."""
        return {status for _ in range(3) for status in all_at_once(2 * self.threads, lambda _: self.ask(client))}

    def is_refused_by_all(self, client: ClientKey) -> None:
        """Wait until every thread refuses; none may let it in again.

        Between two looks of a worker one of its threads may have a page of the file of before, and another one not.
        """
        refused_for_good(lambda: self.ask(client), lasting=2 * CHECK_EVERY)
        assert self.statuses(client) == {401}

    def is_taken_by_all(self, client: ClientKey) -> None:
        """Wait until every thread lets it in."""
        wait_until(lambda: self.statuses(client) == {200})


OWNER = "file@example.com"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        if not ON_SQLITE:
            patch.setenv("DATABASE_URL", "sqlite")
        with portal_database(folder) as database_url:
            site = Site(folder, database_url)
            with site.running():
                site.make_developer(OWNER)
                yield site


@pytest.fixture
def site(started: Site) -> Site:
    """The portal, well, on the file that the test before has left, under its one name."""
    if started.file.is_symlink():
        started.stop()
        started.empty_log()
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


def over_it_alone(site: Site, copy: Path) -> None:
    """As `mv` does it: the log of the file that was there stays behind."""
    copy.replace(site.file)


def over_all_of_it(site: Site, copy: Path) -> None:
    copy.replace(site.file)
    for ending in ("-wal", "-shm"):
        Path(f"{site.file}{ending}").unlink()


def away_and_then_there(site: Site, copy: Path) -> None:
    site.file.rename(site.file.with_name("old.sqlite3"))
    wait_until(lambda: site.get("/readyz").status == 503)
    copy.rename(site.file)


def by_a_link(site: Site, copy: Path) -> None:
    site.file.rename(site.file.with_name("old.sqlite3"))
    site.file.symlink_to(copy)


def by_the_backup_of_sqlite(site: Site, copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(site.file, timeout=30)) as live:
        source.backup(live)


def by_writing_into_it(site: Site, copy: Path) -> None:
    """As `cp` does it, once the log is empty: device and inode stay as they were."""
    with closing(sqlite3.connect(site.file, timeout=30)) as live:
        wait_until(lambda: live.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0))
    shutil.copyfile(copy, site.file)


WAYS = [over_it_alone, over_all_of_it, away_and_then_there, by_a_link, by_the_backup_of_sqlite, by_writing_into_it]


@pytest.mark.parametrize("replace", WAYS)
def test_what_the_new_file_says_holds_for_every_thread(site: Site, replace: Callable[[Site, Path], None]) -> None:
    revoked, kept = site.client(), site.client()
    copy = site.copy()
    assert site.sql(copy, REVOKE, revoked.id) == 1
    later = site.client()  # the new file has never seen it
    replace(site, copy)
    for client in (revoked, later):
        site.is_refused_by_all(client)
    site.is_taken_by_all(kept)
    assert site.get("/readyz").status == 200
    assert site.sql(site.file, "PRAGMA quick_check") == -1
    assert OAuthClient(site).me(kept.secret).status == 200
    # What is written from now on goes into the new file, and holds at the next request.
    ended = site.request("DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {kept.secret}"})
    assert ended.status == 204
    assert site.statuses(kept) == {401}
    with closing(sqlite3.connect(site.file)) as live:
        assert live.execute("SELECT revoked_at IS NOT NULL FROM apikeys_apikey WHERE id = ?", [kept.id]).fetchone() == (
            1,
        )


def test_the_log_of_the_file_that_was_there_is_set_aside(site: Site) -> None:
    client = site.client()
    left = Path(f"{site.file}-wal").stat().st_ino
    over_it_alone(site, site.copy())
    wait_until(lambda: site.statuses(client) == {200} and site.said(REPLACED) == 2)  # of two workers
    assert [path.stat().st_ino for path in site.folder.glob("*-wal.set-aside-*")] == [left]
    assert site.said(REPLACED) == 2


def test_without_its_file_the_portal_answers_503_and_makes_no_other(site: Site) -> None:
    client = site.client()
    away = site.file.with_name("away.sqlite3")
    site.file.rename(away)
    wait_until(lambda: site.statuses(client) == {503})
    for _ in range(IN_A_ROW):
        ready = site.get("/readyz")
        assert (ready.status, json.loads(ready.body)["faults"]) == (
            503,
            ["the database file can't be found (FileNotFoundError)"],
        )
        assert site.get("/accounts/login/", Cookie="sessionid=" + "a" * 43).status == 503
        assert site.get("/api/v1/me", Authorization=f"Bearer {client.secret}").status == 503
        assert site.get("/healthz").status == 200
    assert not site.file.exists()
    away.rename(site.file)
    site.is_taken_by_all(client)
    assert site.get("/readyz").status == 200


def test_a_file_that_other_rings_have_written_makes_nobody_throw_a_key_away(site: Site, tmp_path: Path) -> None:
    client = site.client()
    genuine, copy = site.copy(), site.copy()
    site.sql(copy, "UPDATE integrity_keycheck SET value = zeroblob(32) WHERE ring = 'index'")
    copy.replace(site.file)
    wait_until(lambda: site.statuses(client) == {503})
    assert "of the index ring is not the one" in json.loads(site.get("/readyz").body)["faults"][0]
    genuine.replace(site.file)
    site.is_taken_by_all(client)


def test_a_portal_that_starts_without_a_file_says_so(tmp_path: Path) -> None:
    """Whoever migrates it later finds it ready."""
    site = Site(tmp_path, f"sqlite:///{tmp_path / 'none' / 'portal.sqlite3'}", KEYPORTAL_SEALING_KEYS=new_entry("s1"))
    site.start()
    try:
        assert site.get("/readyz").status == 503
        assert site.get("/api/v1/me", Authorization="Bearer kp_live_x").status == 503
        site.file.parent.mkdir()
        site.command("migrate", "--verbosity=0")
        wait_until(lambda: {site.get("/readyz").status for _ in range(IN_A_ROW)} == {200})
    finally:
        site.stop()


REPLACES = (
    ("UPDATE OR REPLACE accounts_user SET is_active = 0 WHERE id = (SELECT owner_id FROM apikeys_apikey WHERE id = ?)"),
    "REPLACE INTO apikeys_apikey ({columns}) SELECT {changed} FROM apikeys_apikey WHERE id = ?",
    "DELETE FROM apikeys_keysecret WHERE key_id = ?",
    (
        "INSERT INTO apikeys_apikey SELECT * FROM apikeys_apikey WHERE id = ? "
        "ON CONFLICT (id) DO UPDATE SET revoked_at = created_at"
    ),
)


@pytest.mark.finding("H14")
def test_a_change_by_any_way_of_writing_holds_at_the_next_request(site: Site) -> None:
    with closing(sqlite3.connect(site.file)) as live:
        columns = [row[1] for row in live.execute("PRAGMA table_info(apikeys_apikey)")]
    changed = ["created_at" if name == "revoked_at" else name for name in columns]
    for how in (*REPLACES[1:], REPLACES[0]):  # the first ends every key of the account
        client = site.client()
        statement = how.format(columns=", ".join(columns), changed=", ".join(changed))
        assert site.sql(site.file, statement, client.id) == 1
        assert site.statuses(client) == {401}, how
    assert site.sql(site.file, "UPDATE accounts_user SET is_active = 1") == 1


def test_a_file_in_a_folder_that_nobody_may_enter_is_no_file(site: Site) -> None:
    client = site.client()
    hidden = site.folder.with_name("hidden")
    os.rename(site.folder, hidden)  # noqa: PTH104  # as somebody unmounts it
    try:
        wait_until(lambda: site.statuses(client) == {503})
    finally:
        hidden.rename(site.folder)
    site.is_taken_by_all(client)


NOTHING_IS_REMEMBERED = "the cache is off, every request queries the database"
LOG_IS_ANOTHER = "the log of the database file was removed or replaced"


def removed(site: Site) -> None:
    for ending in ("-wal", "-shm"):
        Path(f"{site.file}{ending}").unlink()


def log_moved_away(site: Site) -> None:
    Path(f"{site.file}-wal").rename(f"{site.file}-away")


def index_removed(site: Site) -> None:
    Path(f"{site.file}-shm").unlink()


@pytest.mark.finding("H14")
@pytest.mark.parametrize("take_away", [removed, log_moved_away, index_removed])
def test_what_is_written_to_another_log_holds_for_every_thread(site: Site, take_away: Callable[[Site], None]) -> None:
    """Somebody cleans up beside the database of a running portal; the next command begins a log of its own."""
    revoked, kept = site.client(), site.client()
    site.empty_log()
    take_away(site)
    site.command("revokekey", revoked.id, "--reason", "leak")
    wait_until(lambda: site.statuses(revoked) == {401})  # 503 until each thread has closed the old one
    site.is_refused_by_all(revoked)
    site.is_taken_by_all(kept)
    wait_until(lambda: {site.get("/readyz").status for _ in range(IN_A_ROW)} == {200})
    assert site.said(LOG_IS_ANOTHER) == 2  # of two workers
    assert site.request("DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {kept.secret}"}).status == 204
    assert site.statuses(kept) == {401}
    site.stop()
    assert site.rows("PRAGMA quick_check") == [("ok",)]
    ended = f"'{revoked.id}', '{kept.id}'"
    assert site.rows(f"SELECT count(*) FROM apikeys_apikey WHERE revoked_at IS NOT NULL AND id IN ({ended})") == [(2,)]


def test_what_only_a_removed_log_holds_is_not_lost(site: Site) -> None:
    """Commits that SQLite has not brought into the file yet."""
    clients = [site.client() for _ in range(3)]
    removed(site)
    wait_until(lambda: site.statuses(clients[0]) == {200} and site.said(LOG_IS_ANOTHER) == 2)
    for client in clients:
        site.is_taken_by_all(client)
    site.stop()
    assert site.rows("PRAGMA quick_check") == [("ok",)]
    keys = ", ".join(f"'{client.id}'" for client in clients)
    assert site.rows(f"SELECT count(*) FROM apikeys_apikey WHERE id IN ({keys})") == [(3,)]


@pytest.mark.finding("H14")
def test_a_file_with_another_name_is_a_fault_and_nothing_is_remembered(site: Site) -> None:
    """Who writes by another name writes another log, until that is brought into the file."""
    client = site.client()
    other = site.file.with_name("other.sqlite3")
    site.empty_log()
    os.link(site.file, other)
    [fault] = wait_until(lambda: json.loads(site.get("/readyz").body)["faults"])
    assert fault == (
        "changes can't be detected: the database file has another name (a hard link), and changes through that name "
        "are not detected"
    )
    wait_until(lambda: site.statuses(client) == {200} and site.said(NOTHING_IS_REMEMBERED) == 2)  # of two workers
    assert site.sql(other, REVOKE, client.id) == 1
    site.sql(other, "PRAGMA wal_checkpoint")
    assert site.statuses(client) == {401}
    assert site.said(NOTHING_IS_REMEMBERED) == 2
    other.unlink()
    wait_until(lambda: {site.get("/readyz").status for _ in range(IN_A_ROW)} == {200})
