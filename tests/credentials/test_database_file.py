"""SQLite's file replaced, taken away, restored or overwritten while two workers of many threads have it open."""

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.credentials.database_file import WAYS, FileSite, move_over_the_file_alone, site, started
from tests.oauth_client import OAuthClient
from tests.staleness import IN_A_ROW
from tests.waiting import wait_until
from vault.rings import new_entry

__all__ = ["site", "started"]

pytestmark = [pytest.mark.once, pytest.mark.finding("H43")]
REVOKE = "UPDATE apikeys_apikey SET revoked_at = created_at WHERE id = ?"
REPLACED = "the database file was replaced"


@pytest.mark.parametrize("replace", WAYS)
def test_what_the_new_file_says_holds_for_every_thread(
    site: FileSite, replace: Callable[[FileSite, Path], None]
) -> None:
    revoked, kept = site.client(), site.client()
    copy = site.copy()
    assert site.sql(copy, REVOKE, revoked.id) == 1
    later = site.client()  # the new file has never seen it
    replace(site, copy)
    for client in (revoked, later):
        site.wait_until_all_refuse(client)
    site.wait_until_all_accept(kept)
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


def test_the_log_of_the_file_that_was_there_is_set_aside(site: FileSite) -> None:
    client = site.client()
    left = Path(f"{site.file}-wal").stat().st_ino
    move_over_the_file_alone(site, site.copy())
    wait_until(lambda: site.statuses(client) == {200} and site.log_count(REPLACED) == 2)  # of two workers
    assert [path.stat().st_ino for path in site.folder.glob("*-wal.set-aside-*")] == [left]
    assert site.log_count(REPLACED) == 2


def test_without_its_file_the_portal_answers_503_and_makes_no_other(site: FileSite) -> None:
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
    site.wait_until_all_accept(client)
    assert site.get("/readyz").status == 200


def test_a_file_that_other_rings_have_written_makes_nobody_throw_a_key_away(site: FileSite, tmp_path: Path) -> None:
    client = site.client()
    genuine, copy = site.copy(), site.copy()
    site.sql(copy, "UPDATE integrity_keycheck SET value = zeroblob(32) WHERE ring = 'index'")
    copy.replace(site.file)
    wait_until(lambda: site.statuses(client) == {503})
    assert "of the index ring is not the one" in json.loads(site.get("/readyz").body)["faults"][0]
    genuine.replace(site.file)
    site.wait_until_all_accept(client)


def test_a_portal_that_starts_without_a_file_says_so(tmp_path: Path) -> None:
    """It is ready as soon as it is migrated."""
    site = FileSite(
        tmp_path, f"sqlite:///{tmp_path / 'none' / 'portal.sqlite3'}", KEYPORTAL_SEALING_KEYS=new_entry("s1")
    )
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
def test_a_change_by_any_way_of_writing_holds_at_the_next_request(site: FileSite) -> None:
    with closing(sqlite3.connect(site.file)) as live:
        columns = [row[1] for row in live.execute("PRAGMA table_info(apikeys_apikey)")]
    changed = ["created_at" if name == "revoked_at" else name for name in columns]
    for how in (*REPLACES[1:], REPLACES[0]):  # the first ends every key of the account
        client = site.client()
        statement = how.format(columns=", ".join(columns), changed=", ".join(changed))
        assert site.sql(site.file, statement, client.id) == 1
        assert site.statuses(client) == {401}, how
    assert site.sql(site.file, "UPDATE accounts_user SET is_active = 1") == 1


def test_a_file_in_a_folder_that_nobody_may_enter_is_no_file(site: FileSite) -> None:
    client = site.client()
    site.messages()  # the folder of messages is in it too: one that is sent meanwhile would make another
    hidden = site.folder.with_name("hidden")
    os.rename(site.folder, hidden)  # noqa: PTH104  # as somebody unmounts it
    try:
        wait_until(lambda: site.statuses(client) == {503})
    finally:
        hidden.rename(site.folder)
    site.wait_until_all_accept(client)


CACHE_IS_OFF = "the cache is off, every request queries the database"
LOG_IS_ANOTHER = "the log of the database file was removed or replaced"


def remove_log(site: FileSite) -> None:
    for ending in ("-wal", "-shm"):
        Path(f"{site.file}{ending}").unlink()


def move_log_away(site: FileSite) -> None:
    Path(f"{site.file}-wal").rename(f"{site.file}-away")


def remove_index(site: FileSite) -> None:
    Path(f"{site.file}-shm").unlink()


@pytest.mark.finding("H14")
@pytest.mark.parametrize("take_away", [remove_log, move_log_away, remove_index])
def test_what_is_written_to_another_log_holds_for_every_thread(
    site: FileSite, take_away: Callable[[FileSite], None]
) -> None:
    """An operator cleans up beside the database of a running portal; the next command begins a log of its own."""
    revoked, kept = site.client(), site.client()
    site.checkpoint()
    take_away(site)
    site.command("revokekey", revoked.id, "--reason", "leak")
    wait_until(lambda: site.statuses(revoked) == {401})  # 503 until each thread has closed the old one
    site.wait_until_all_refuse(revoked)
    site.wait_until_all_accept(kept)
    wait_until(lambda: {site.get("/readyz").status for _ in range(IN_A_ROW)} == {200})
    assert site.log_count(LOG_IS_ANOTHER) == 2  # of two workers
    assert site.request("DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {kept.secret}"}).status == 204
    assert site.statuses(kept) == {401}
    site.stop()
    assert site.rows("PRAGMA quick_check") == [("ok",)]
    ended = f"'{revoked.id}', '{kept.id}'"
    assert site.rows(f"SELECT count(*) FROM apikeys_apikey WHERE revoked_at IS NOT NULL AND id IN ({ended})") == [(2,)]


def test_what_only_a_removed_log_holds_is_not_lost(site: FileSite) -> None:
    """Commits that SQLite has not brought into the file yet."""
    clients = [site.client() for _ in range(3)]
    remove_log(site)
    wait_until(lambda: site.statuses(clients[0]) == {200} and site.log_count(LOG_IS_ANOTHER) == 2)
    for client in clients:
        site.wait_until_all_accept(client)
    site.stop()
    assert site.rows("PRAGMA quick_check") == [("ok",)]
    keys = ", ".join(f"'{client.id}'" for client in clients)
    assert site.rows(f"SELECT count(*) FROM apikeys_apikey WHERE id IN ({keys})") == [(3,)]


@pytest.mark.finding("H14")
def test_a_file_with_another_name_is_a_fault_and_nothing_is_remembered(site: FileSite) -> None:
    """What is written by another name goes into another log, until that is brought into the file."""
    client = site.client()
    other = site.file.with_name("other.sqlite3")
    site.checkpoint()
    os.link(site.file, other)
    [fault] = wait_until(lambda: json.loads(site.get("/readyz").body)["faults"])
    assert fault == (
        "changes can't be detected: the database file has another name (a hard link), and changes through that name "
        "are not detected"
    )
    wait_until(lambda: site.statuses(client) == {200} and site.log_count(CACHE_IS_OFF) == 2)  # of two workers
    assert site.sql(other, REVOKE, client.id) == 1
    site.sql(other, "PRAGMA wal_checkpoint")
    assert site.statuses(client) == {401}
    assert site.log_count(CACHE_IS_OFF) == 2
    other.unlink()
    wait_until(lambda: {site.get("/readyz").status for _ in range(IN_A_ROW)} == {200})
