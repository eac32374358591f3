"""Changes that the triggers do not announce, because they were sabotaged: no stale verdict is given."""

import subprocess
from pathlib import Path

import psycopg
import pytest

from credentials.verified_cache.triggers import COUNTER
from tests.credentials.tampered_site import CHANGES, TABLES, TamperedSite, site
from tests.databases import portal_database
from tests.portal import Portal
from tests.sabotage import CALL, SABOTAGE, UNDO
from tests.staleness import IN_A_ROW, wait_until_refused_for_good
from tests.waiting import wait_until
from tests.with_postgres import binary

__all__ = ["site"]

pytestmark = [pytest.mark.second, pytest.mark.finding("H14")]  # the other database: test_database_file
PAIRS = [(sabotage, TABLES[number % len(TABLES)]) for number, sabotage in enumerate(SABOTAGE)]
"""Each sabotage, at one table after the other. All by all: test_trigger_health."""


@pytest.mark.parametrize(("sabotage", "table"), PAIRS)
def test_without_its_triggers_nothing_is_trusted_until_they_are_back(
    site: TamperedSite, table: str, sabotage: str
) -> None:
    cached, another = site.case(table), site.case(table)
    wait_until(lambda: site.trusts)
    warned = site.warnings
    change = CHANGES[table].format(**cached.names)
    try:
        site.sql(*(statement.format(table=table, call=CALL) for statement in SABOTAGE[sabotage]), change)
        wait_until_refused_for_good(lambda: site.status_of(cached))
        assert site.faults
        assert all(fault.startswith("changes can't be detected: ") for fault in site.faults)
        wait_until(lambda: site.metric("keyportal_change_triggers_in_place") == 0 and site.warnings >= warned + 2)
        assert {site.status_of(another) for _ in range(IN_A_ROW)} == {200}  # every thread might have it cached
        site.sql(CHANGES[table].format(**another.names))
        assert 200 not in {site.status_of(another) for _ in range(IN_A_ROW)}  # at once: no worker uses its cache
    finally:
        site.sql(*(statement.format(table=table) for statement in UNDO.get(sabotage, [])))
        site.portal.manage("createtriggers")
    wait_until(lambda: site.trusts)
    assert site.faults == []
    steps = 1 + len(UNDO.get(sabotage, []))
    assert site.warnings - warned <= 2 * steps  # of two workers, however many heartbeats it lasted
    assert "Traceback" not in site.portal.log.read_text()
    hits = site.metric("keyportal_cache_hits_total")
    kept = site.case(table)
    wait_until(lambda: site.status_of(kept) == 200 and site.metric("keyportal_cache_hits_total") > hits)
    site.sql(CHANGES[table].format(**kept.names))
    wait_until_refused_for_good(lambda: site.status_of(kept))


def test_a_counter_that_may_not_be_raised_is_a_fault(site: TamperedSite) -> None:
    """Every revocation fails then, which an operator would learn only when they need one."""
    case = site.case("apikeys_apikey")
    wait_until(lambda: site.trusts)
    try:
        site.sql("CREATE ROLE unfit", "ALTER FUNCTION keyportal_notify() OWNER TO unfit")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            site.sql(CHANGES["apikeys_apikey"].format(**case.names))
        wait_until(lambda: site.metric("keyportal_change_triggers_in_place") == 0)
        [fault] = site.faults
        assert "the owner of the function keyportal_notify can't write to credentials_changecounter" in fault
        assert site.status_of(case) == 200
    finally:
        site.sql("ALTER FUNCTION keyportal_notify() OWNER TO CURRENT_USER", "DROP ROLE unfit")
    wait_until(lambda: site.trusts and site.faults == [])


def test_a_rule_that_takes_the_place_of_another_is_noticed(site: TamperedSite) -> None:
    """PostgreSQL notes at the table only that there are rules: which they are stands elsewhere."""
    wait_until(lambda: site.trusts)
    try:
        for name in ("first", "second"):
            site.sql(f"CREATE RULE a_rule AS ON UPDATE TO apikeys_apikey DO ALSO SELECT '{name}'")
            wait_until(lambda: site.metric("keyportal_change_triggers_in_place") == 0)
            assert site.faults == ["changes can't be detected: a rule may change what is written to apikeys_apikey"]
            site.sql("DROP RULE a_rule ON apikeys_apikey")
            wait_until(lambda: site.trusts and site.faults == [])
    finally:
        site.sql("DROP RULE IF EXISTS a_rule ON apikeys_apikey")


@pytest.mark.parametrize("table", TABLES)
def test_a_session_that_replicates_is_heard(site: TamperedSite, table: str) -> None:
    case = site.case(table)
    wait_until(lambda: site.trusts)
    site.sql("SET session_replication_role = replica", CHANGES[table].format(**case.names))
    wait_until_refused_for_good(lambda: site.status_of(case))
    assert site.faults == []


@pytest.mark.parametrize("table", TABLES)
def test_a_search_path_that_leads_astray_silences_nobody(site: TamperedSite, table: str) -> None:
    """An attacker who may only write rows puts a function of their own in front of PostgreSQL's."""
    case = site.case(table)
    wait_until(lambda: site.trusts)
    site.sql(
        "CREATE SCHEMA IF NOT EXISTS astray",
        "CREATE OR REPLACE FUNCTION astray.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT'",
        "SET search_path = astray, pg_catalog, public",
        "CREATE TEMPORARY TABLE credentials_changecounter (n bigint)",
        CHANGES[table].format(**case.names),
    )
    wait_until_refused_for_good(lambda: site.status_of(case))
    assert site.faults == []


@pytest.mark.parametrize("table", [table for table in TABLES if table != "tokens_revokedtoken"])
def test_a_table_that_is_emptied_is_heard(site: TamperedSite, table: str) -> None:
    case = site.case(table)
    wait_until(lambda: site.trusts)
    site.sql("SET session_replication_role = replica", f"TRUNCATE {table} CASCADE")
    wait_until_refused_for_good(lambda: site.status_of(case))
    assert site.faults == []


def test_what_happens_between_two_looks_is_noticed_at_the_second(site: TamperedSite) -> None:
    """Disabled, changed and enabled again in one transaction: nothing looks wrong afterwards."""
    case = site.case("apikeys_apikey")
    wait_until(lambda: site.trusts)
    with psycopg.connect(site.url) as connection:
        connection.execute("ALTER TABLE apikeys_apikey DISABLE TRIGGER USER")
        connection.execute(CHANGES["apikeys_apikey"].format(**case.names))
        connection.execute("ALTER TABLE apikeys_apikey ENABLE ALWAYS TRIGGER keyportal_notify")
        connection.execute("ALTER TABLE apikeys_apikey ENABLE ALWAYS TRIGGER keyportal_notify_truncate")
    wait_until_refused_for_good(lambda: site.status_of(case))
    assert site.faults == []


SWAP = [("created_at", "x"), ("paused_at", "created_at"), ("x", "paused_at")]


def test_columns_that_change_their_names_are_noticed(site: TamperedSite) -> None:
    """No row changes, so no trigger fires."""
    case = site.case("apikeys_apikey")
    wait_until(lambda: site.trusts)
    swap = [f"ALTER TABLE apikeys_apikey RENAME {one} TO {other}" for one, other in SWAP]
    try:
        site.sql(*swap)
        wait_until_refused_for_good(lambda: site.status_of(case))
    finally:
        site.sql(*swap)
    wait_until(lambda: {site.status_of(case) for _ in range(IN_A_ROW)} == {200})


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE {COUNTER} SET n = n + 1, nonce = 'nobody told'",
        "SELECT pg_notify('keyportal', '999999999 nonce key:none')",
        "SELECT pg_notify('keyportal', '1 nonce key:none')",
        "SELECT pg_notify('keyportal', 'anything')",
    ],
)
def test_a_gap_in_what_is_told_makes_every_worker_forget_and_go_on(site: TamperedSite, statement: str) -> None:
    """A notification that was lost, or one that was made up."""
    case = site.case("apikeys_apikey")
    wait_until(lambda: site.trusts)
    wait_until(lambda: site.is_cached(case))
    misses = site.metric("keyportal_cache_misses_total")
    site.sql(statement)
    wait_until(lambda: site.status_of(case) == 200 and site.metric("keyportal_cache_misses_total") >= misses + 2)
    assert site.faults == []
    wait_until(lambda: site.trusts and site.is_cached(case))
    site.sql(CHANGES["apikeys_apikey"].format(**case.names))
    wait_until_refused_for_good(lambda: site.status_of(case))


@pytest.mark.finding("H43")
@pytest.mark.parametrize("options", [["--single-transaction"], []], ids=["at once", "table by table"])
def test_a_database_that_is_restored_is_another_one(site: TamperedSite, options: list[str]) -> None:
    """Under running workers, from a dump in which one key was paused and another had not been made."""
    paused, kept = site.case("apikeys_apikey"), site.case("apikeys_apikey")
    pause = f"UPDATE apikeys_apikey SET paused_at = {{}} WHERE id = '{paused.names['key']}'"
    site.sql(pause.format("now()"))
    dump = site.portal.folder / f"{len(options)}.dump"
    subprocess.run([binary("pg_dump"), "--format=custom", f"--file={dump}", f"--dbname={site.url}"], check=True)
    site.sql(pause.format("NULL"))
    later = site.case("apikeys_apikey")
    wait_until(lambda: {site.status_of(paused) for _ in range(IN_A_ROW)} == {200} and site.trusts)
    restore = [binary("pg_restore"), "--clean", "--if-exists", *options, f"--dbname={site.url}", str(dump)]
    subprocess.run(restore, check=True)
    for case in (paused, later):
        wait_until_refused_for_good(lambda case=case: site.status_of(case))  # type: ignore[misc]
    wait_until(lambda: {site.status_of(kept) for _ in range(IN_A_ROW)} == {200} and site.trusts)
    assert site.faults == []
    site.sql(CHANGES["apikeys_apikey"].format(**kept.names))
    wait_until_refused_for_good(lambda: site.status_of(kept))


@pytest.mark.finding("H43")
def test_a_restored_database_whose_rings_are_others_refuses_nobody_s_key(site: TamperedSite) -> None:
    case = site.case("apikeys_apikey")
    key_check = "UPDATE integrity_keycheck SET value = {} WHERE ring = 'index'"
    with psycopg.connect(site.url) as connection:
        row = connection.execute("SELECT value FROM integrity_keycheck WHERE ring = 'index'").fetchone()
        assert row
        connection.execute(key_check.format("decode(repeat('00', 32), 'hex')"))
        connection.execute("ALTER TABLE apikeys_apikey RENAME TO x")
        connection.execute("ALTER TABLE x RENAME TO apikeys_apikey")
    try:
        wait_until(lambda: {site.status_of(case) for _ in range(IN_A_ROW)} == {503})
    finally:
        with psycopg.connect(site.url) as connection:
            connection.execute(key_check.format("%s"), row)
    wait_until(lambda: {site.status_of(case) for _ in range(IN_A_ROW)} == {200})


def test_workers_that_start_before_a_migration_trust_when_it_is_done(tmp_path: Path) -> None:
    """They say once that they can't detect changes, however often they look, and need no restart."""
    with portal_database(tmp_path) as database_url:
        opened = {"KEYPORTAL_METRICS_NETWORKS": "127.0.0.1/32", "KEYPORTAL_METRICS_DIR": str(tmp_path / "metrics")}
        early = TamperedSite(Portal(tmp_path, database_url, **opened))
        early.portal.command("migrate", "--verbosity=0", "credentials", "0001_initial")
        early.portal.start()
        try:
            before = early.case("apikeys_apikey")
            wait_until(lambda: early.status_of(before) == 200 and early.warnings == 2)
            for _ in range(10):
                early.wait_for_look()
            assert early.warnings == 2
            assert early.faults == ["migrations are not applied"]
            early.portal.command("migrate", "--verbosity=0")
            wait_until(lambda: early.faults == [] and early.trusts)
            assert early.warnings == 2
            wait_until(lambda: early.is_cached(before))
            early.sql(CHANGES["apikeys_apikey"].format(**before.names))
            wait_until_refused_for_good(lambda: early.status_of(before))
        finally:
            early.portal.stop()
