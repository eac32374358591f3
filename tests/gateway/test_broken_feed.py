"""When changes can't be told for sure, verifiers are told so: nobody hears "nothing has changed" by mistake."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from credentials.verified_cache.sqlite_triggers import TABLE as RECORDED
from credentials.verified_cache.verdict_tables import VERDICT_TABLES
from tests.databases import portal_database
from tests.gateway.test_changes import OWNER, Feed, verify
from tests.oauth_client import ClientKey, json_of
from tests.portal import Answer, Portal
from tests.waiting import wait_until

TABLES = [table.table for table in VERDICT_TABLES]


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    """The feed of a portal whose database the tests may break."""
    folder: Path = tmp_path_factory.mktemp("broken-feed")
    opened = {"KEYPORTAL_METRICS_NETWORKS": "127.0.0.1/32", "KEYPORTAL_METRICS_DIR": str(folder / "metrics")}
    with portal_database(folder) as database_url, Portal(folder, database_url, **opened).running(workers=2) as portal:
        portal.make_developer(OWNER)
        made = portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted", name="a service")
        yield Feed(portal, ClientKey(*made))


def file_of(portal: Portal) -> Path:
    return Path(portal.environment["DATABASE_URL"].removeprefix("sqlite:///"))


def sql(portal: Portal, statement: str) -> None:
    """Run a statement as somebody who has the database, and not the portal."""
    if portal.is_on_sqlite:
        with closing(sqlite3.connect(file_of(portal), isolation_level=None)) as connection:
            connection.execute(statement)
        return
    with psycopg.connect(portal.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(statement)


def break_a_trigger(portal: Portal, table: str) -> None:
    if portal.is_on_sqlite:
        sql(portal, f"DROP TRIGGER keyportal_change_{table}_update")
    else:
        sql(portal, f"ALTER TABLE {table} DISABLE TRIGGER keyportal_notify")


def answer_with(feed: Feed, status: int, query: str = "") -> Answer:
    """Return the first answer that has this status."""
    answers: list[Answer] = []

    def is_given() -> bool:
        answers.append(feed.ask(query))
        return answers[-1].status == status

    wait_until(is_given)
    return answers[-1]


@pytest.mark.parametrize("table", TABLES)
def test_without_triggers_nobody_is_told_that_nothing_has_changed(feed: Feed, table: str) -> None:
    cursor = feed.head()
    break_a_trigger(feed.portal, table)
    try:
        refused = answer_with(feed, 503)
        assert refused.headers["retry-after"]
        assert json_of(refused)["code"] == "unavailable"
        assert feed.ask(f"?since={cursor}").status in (200, 503)  # another worker may not have looked yet
    finally:
        feed.portal.manage("createtriggers")
    wait_until(lambda: feed.ask().status == 200)
    # What happened meanwhile nobody knows.
    wait_until(lambda: json_of(feed.ask(f"?since={cursor}")).get("reset"))


def test_meanwhile_no_record_is_to_be_kept(feed: Feed) -> None:
    key = ClientKey(*feed.portal.make_key(OWNER, name="asked without triggers"))
    break_a_trigger(feed.portal, TABLES[0])
    try:
        wait_until(lambda: verify(feed, key.secret)["cursor"] is None)
        assert verify(feed, key.secret)["valid"] is True
    finally:
        feed.portal.manage("createtriggers")
    wait_until(lambda: verify(feed, key.secret)["cursor"])


def test_the_operator_sees_which_trigger_is_missing_though_no_verifier_asks(feed: Feed) -> None:
    metric = "\nkeyportal_change_triggers_in_place {}.0\n"
    break_a_trigger(feed.portal, TABLES[0])
    try:
        ready = feed.portal.get("/readyz")
        [fault] = json_of(ready)["faults"]
        assert ready.status == 503
        assert TABLES[0] in fault
        wait_until(lambda: metric.format(0) in feed.portal.get("/metrics").body.decode())
    finally:
        feed.portal.manage("createtriggers")
    assert feed.portal.get("/readyz").status == 200
    wait_until(lambda: metric.format(1) in feed.portal.get("/metrics").body.decode())


@pytest.mark.once  # a restored PostgreSQL is another server, or has other tables: its cursors have another identity
def test_a_restored_backup_makes_everybody_forget(feed: Feed) -> None:
    """The file of a backup has the numbers that came after it yet to give, to other changes."""
    portal, file = feed.portal, file_of(feed.portal)
    backup = file.with_suffix(".backup")
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    key, _ = portal.make_key(OWNER, name="after the backup")
    portal.revoke_key(key)
    cursor = feed.head()
    portal.stop()
    for name in ("", "-wal", "-shm"):
        file.with_name(file.name + name).unlink(missing_ok=True)
    shutil.copy(backup, file)
    portal.start()
    other, _ = portal.make_key(OWNER, name="another, after the restore")
    portal.revoke_key(other)
    wait_until(lambda: json_of(feed.ask(f"?since={cursor}")).get("reset"))


@pytest.mark.once  # PostgreSQL has no such rows: its listeners see that a notification is missing
def test_rows_that_somebody_deleted_make_everybody_forget(feed: Feed) -> None:
    cursor = feed.head()
    for _ in range(3):
        feed.portal.revoke_key(feed.portal.make_key(OWNER)[0])
    sql(feed.portal, f"DELETE FROM {RECORDED} WHERE n = (SELECT max(n) - 1 FROM {RECORDED})")
    assert feed.since(cursor).get("reset") is True


def test_a_worker_that_has_just_started_answers_for_the_others(feed: Feed) -> None:
    cursor = feed.head()
    feed.portal.stop()
    key, _ = feed.portal.make_key(OWNER)
    feed.portal.revoke_key(key)
    feed.portal.start()
    told = json_of(answer_with(feed, 200, f"?since={cursor}"))
    assert told.get("reset") or f"key:{key}" in told["tags"]
