"""Wrong settings in real processes: commands, the server, the tests' own start. Odd checkouts. What a database gets."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from tests.databases import portal_database
from tests.portal import ROOT, Portal
from tests.project_copy import copy_project
from tests.settings_reader import base
from tests.waiting import DEADLINE
from tests.with_postgres import Cluster, postgres_cluster

pytestmark = [pytest.mark.once, pytest.mark.finding("H12")]

PLANTED = "pLaNtEd7"
WRONG = {
    "SECRET_KEY_FILE": f"/nowhere/{PLANTED}",
    "DATABASE_URL": f"postgres://user:1{PLANTED}/2?3#{PLANTED}@host/name",
    "KEYPORTAL_LISTEN_URL": f"postgres://user:{PLANTED}/x@host/name",
    "CACHE_URL": f"redis://:{PLANTED}?x@host/0",
    "EMAIL_URL": f"smtp://user:{PLANTED}#x@host",
    "KEYPORTAL_URL": f"https://[{PLANTED}",
    "KEYPORTAL_TRUSTED_PROXIES": PLANTED,
    "KEYPORTAL_MAX_KEYS": f"1{PLANTED}",
    "KEYPORTAL_TLS_CERTIFICATE": f"\x01{PLANTED}",
}
ODD_FOLDERS = ("c#", "a b", "x?y", "%41", "ü漢", "a+b&c;d=e", "$HOME", "'\"`\\")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Portal]:
    """A configured portal with a migrated database that is not started yet."""
    with portal_database(tmp_path) as database_url:
        portal = Portal(tmp_path, database_url)
        yield portal
        portal.stop()


def spoil(site: Portal, name: str) -> None:
    """Set one setting to a wrong value; one by file takes the place of the value."""
    site.environment.pop(name.removesuffix("_FILE"), None)
    site.environment[name] = WRONG[name]


@pytest.mark.parametrize("name", WRONG)
def test_a_command_ends_with_one_line_and_without_the_value(site: Portal, name: str) -> None:
    spoil(site, name)
    ended = site.start_command("check")
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"keyportal: {name}")
    assert PLANTED not in line


@pytest.mark.parametrize("name", ["SECRET_KEY_FILE", "DATABASE_URL", "KEYPORTAL_TRUSTED_PROXIES"])
def test_the_server_does_not_start_and_says_it_once(site: Portal, name: str) -> None:
    spoil(site, name)
    site.environment["KEYPORTAL_WORKERS"] = "3"
    process = site.spawn_anew(workers=3)
    assert process.wait(timeout=DEADLINE) != 0
    printed = site.log.read_text()
    assert PLANTED not in printed
    assert "Traceback" not in printed
    assert printed.count("keyportal: ") == 1
    assert f"keyportal: {name}" in printed


def test_the_tests_do_not_begin_and_say_why_in_one_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/vault/test_rings.py"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": WRONG["DATABASE_URL"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert ended.returncode != 0
    assert PLANTED not in ended.stdout + ended.stderr
    assert [line.split()[1] for line in ended.stderr.splitlines() if line] == ["DATABASE_URL"]


def test_a_misspelt_setting_is_told_of_by_commands_and_once_by_the_server(site: Portal) -> None:
    site.environment |= {"KEYPORTAL_RATELIMIT": PLANTED}
    for printed in (site.start_command("check").stderr, site.start_command("showmigrations", "accounts").stderr):
        assert "KEYPORTAL_RATELIMIT is not a setting of the portal; you probably meant KEYPORTAL_RATE_LIMIT" in printed
        assert PLANTED not in printed
    site.start(workers=2)
    assert site.log.read_text().count("keyportal.W040") == 1
    assert PLANTED not in site.log.read_text()


def where(folder: Path, **environment: str) -> dict[str, str]:
    """Return the places that the settings of a checkout name, read from another folder."""
    script = (
        "import json; from keyportal import settings as s; "
        "print(json.dumps([s.DATABASES['default']['NAME'], s.STATIC_ROOT, s.KEYPORTAL_METRICS_DIR, s.KEYPORTAL_OUTBOX, "
        "str(s.BASE_DIR), s.KEYPORTAL_ENV_FILE, s.KEYPORTAL_BRAND]))"
    )
    given = {**{name: value for name, value in base().items() if name != "KEYPORTAL_ENV_FILE"}, **environment}
    read = subprocess.run(
        [sys.executable, "-c", script],
        cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), **given},
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    )
    names = ("database", "static", "metrics", "outbox", "base", "env", "brand")
    return dict(zip(names, json.loads(read.stdout), strict=True))


@pytest.mark.parametrize("odd", ODD_FOLDERS)
def test_a_checkout_in_an_odd_folder_keeps_everything_inside(odd: str, tmp_path: Path) -> None:
    copy = copy_project(tmp_path / odd / "project")
    (copy / ".env").write_text("KEYPORTAL_BRAND=odd\n")
    places = where(copy)
    assert places == {
        "database": f"{copy}/var/keyportal.sqlite3",
        "static": f"{copy}/var/static",
        "metrics": f"{copy}/var/metrics",
        "outbox": f"{copy}/var/outbox",
        "base": str(copy),
        "env": f"{copy}/.env",
        "brand": "odd",
    }


def test_the_database_of_an_odd_checkout_is_made_inside(tmp_path: Path) -> None:
    copy = copy_project(tmp_path / "".join(ODD_FOLDERS).replace(":", "") / "project")
    (copy / "var").mkdir()
    given = {name: value for name, value in base().items() if name != "KEYPORTAL_ENV_FILE"}
    command = [sys.executable, str(copy / "manage.py"), "migrate", "credentials", "--verbosity=0"]
    subprocess.run(command, cwd="/", env={"PATH": os.environ["PATH"], **given}, check=True, timeout=DEADLINE)
    assert (copy / "var/keyportal.sqlite3").stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == [copy.parent.name]


RINGS = {name: base()[name] for name in ("KEYPORTAL_SEALING_KEYS", "KEYPORTAL_INDEX_KEYS")}
ODD_PASSWORD = "/?#@:%&+$ =;'\"\\[]ü%41"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL with a role whose password holds all that an address can trip over, and a schema of its own."""
    with postgres_cluster() as started:
        with psycopg.connect(started.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE ROLE odd LOGIN PASSWORD {}").format(sql.Literal(ODD_PASSWORD)))
            connection.execute("CREATE SCHEMA portal AUTHORIZATION odd")
        yield started


SERVER = "import keyportal.application\n"


def postgresql_settings(portal: Portal, *names: str, first: str = "") -> list[str]:
    """Return what PostgreSQL says that these are in a session of a command, or of the server's own module."""
    script = f"{first}from django.db import connection as c; import json; k = c.cursor(); v = []\n"
    script += "".join(f"k.execute('SHOW {name}'); v += k.fetchone()\n" for name in names) + "print(json.dumps(v))"
    values: list[str] = json.loads(portal.command("shell", "-v", "0", "-c", script).stdout.splitlines()[-1])
    return values


@pytest.mark.finding("H48")
@pytest.mark.postgresql
def test_a_database_with_an_odd_password_and_a_schema_of_its_own(cluster: Cluster, tmp_path: Path) -> None:
    options = quote("-c search_path=portal -c statement_timeout=90s")
    address = f"postgres://odd:{quote(ODD_PASSWORD, safe='')}@127.0.0.1:{cluster.port}/keyportal?options={options}"
    portal = Portal(tmp_path, address, KEYPORTAL_LISTEN_URL=address, **RINGS)
    portal.command("migrate", "--verbosity=0")
    with psycopg.connect(cluster.url) as connection:
        found = connection.execute("SELECT DISTINCT schemaname FROM pg_tables WHERE tableowner = 'odd'").fetchall()
    assert found == [("portal",)]
    names = ("search_path", "statement_timeout", "lock_timeout")
    assert postgresql_settings(portal, *names, first=SERVER) == ["portal", "90s", "2s"]
    assert postgresql_settings(portal, *names) == ["portal", "90s", "0"], "a command takes its time"
    portal.start(workers=1)
    try:
        assert portal.get("/readyz").status == 200
    finally:
        portal.stop()


@pytest.mark.finding("H48")
@pytest.mark.postgresql
def test_options_in_the_environment_hold_as_well(cluster: Cluster, tmp_path: Path) -> None:
    libpq = {"PGOPTIONS": "-c lock_timeout=7s -c search_path=portal", "PGPASSWORD": ODD_PASSWORD}
    portal = Portal(tmp_path, f"postgres://odd@127.0.0.1:{cluster.port}/keyportal", **RINGS, **libpq)
    portal.command("migrate", "--verbosity=0")
    names = ("search_path", "statement_timeout", "lock_timeout")
    assert postgresql_settings(portal, *names, first=SERVER) == ["portal", "5s", "7s"]
    assert postgresql_settings(portal, *names) == ["portal", "0", "7s"], "a command takes its time"
    portal.start(workers=1)
    try:
        # The password is out of the server's environment by now, and each thread connects by itself.
        assert portal.get("/readyz").status == 200
    finally:
        portal.stop()


@pytest.mark.postgresql
@pytest.mark.parametrize("output", ["hash", "unified"])
def test_no_command_that_lists_settings_shows_a_secret(cluster: Cluster, tmp_path: Path, output: str) -> None:
    address = f"postgres://odd:{PLANTED}@127.0.0.1:{cluster.port}/keyportal"
    services = {"CACHE_URL": f"redis://:{PLANTED}@host/0", "EMAIL_URL": f"smtp://user:{PLANTED}@host"}
    portal = Portal(tmp_path, address, KEYPORTAL_LISTEN_URL=address, SECRET_KEY_FALLBACKS=PLANTED * 7, **services)
    listed = portal.command("diffsettings", "--all", "--output", output).stdout
    assert "KEYPORTAL_MAX_KEYS = 200" in listed
    secrets = [PLANTED, portal.environment["SECRET_KEY"]]
    secrets += [portal.environment[name].partition(":")[2] for name in RINGS]
    secrets.append(json.loads(portal.environment["KEYPORTAL_SIGNING_KEYS"])["keys"][0]["d"])
    assert [secret for secret in secrets if secret in listed] == []
