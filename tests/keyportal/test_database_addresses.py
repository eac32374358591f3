"""Addresses of databases: options, hosts, sockets and files, and what the address says wins."""

from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus

import pytest
from psycopg.conninfo import conninfo_to_dict

from keyportal.databases import TIMEOUTS, with_timeouts
from tests.portal import ROOT
from tests.settings_reader import read_settings

pytestmark = [pytest.mark.sweep, pytest.mark.once, pytest.mark.finding("H12")]
PLANTED = "pLaNtEd7"


def database(url: str, **environment: str) -> dict[str, Any]:
    reading = read_settings(DATABASE_URL=url, **environment)
    assert reading.values is not None, reading.lines
    entry: dict[str, Any] = reading.values["DATABASES"]["default"]
    return entry


BOTH = "-c statement_timeout=5000 -c lock_timeout=2000"


def test_without_options_the_portals_own_hold() -> None:
    entry = database("postgres://user@host/name")
    assert entry["OPTIONS"] == {
        "connect_timeout": 2,
        "tcp_user_timeout": 2000,
        "keepalives_idle": 2,
        "keepalives_interval": 1,
        "keepalives_count": 2,
    }
    assert (entry["CONN_MAX_AGE"], entry["CONN_HEALTH_CHECKS"]) == (600, True)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("-c%20search_path%3Dportal", f"{BOTH} -c search_path=portal"),
        ("-c+search_path=portal", f"{BOTH} -c search_path=portal"),
        ("-c+statement_timeout=1min", "-c lock_timeout=2000 -c statement_timeout=1min"),
        ("-cstatement_timeout=0+--lock-timeout=0", "-cstatement_timeout=0 --lock-timeout=0"),
        ("-c+log_lock_timeout=1", f"{BOTH} -c log_lock_timeout=1"),
    ],
)
def test_options_of_the_address_are_kept_beside_the_limits_of_a_server(options: str, wanted: str) -> None:
    kept = database(f"postgres://user@host/name?options={options}")["OPTIONS"]["options"]
    assert kept == unquote_plus(options)
    assert with_timeouts(kept, TIMEOUTS) == wanted


def test_what_the_address_says_wins_over_the_defaults_and_over_libpqs_variables() -> None:
    address = "postgres://user@host/name?connect_timeout=9&keepalives_idle=60&application_name=a+b&conn_max_age=60"
    libpq = {"PGOPTIONS": "-c search_path=portal -c lock_timeout=1", "PGCONNECT_TIMEOUT": "7", "PGPASSWORD": "secret"}
    entry = database(address, **libpq)
    options = entry["OPTIONS"]
    assert options["connect_timeout"] == 9
    assert (options["keepalives_idle"], options["keepalives_count"]) == (60, 2)
    assert options["application_name"] == "a+b"
    assert options["options"] == "-c search_path=portal -c lock_timeout=1"
    assert (entry["CONN_MAX_AGE"], entry["PASSWORD"]) == (60, "secret")
    entry = database("postgres://user:other@host/name?conn_max_age=none&conn_health_checks=false", **libpq)
    assert (entry["CONN_MAX_AGE"], entry["CONN_HEALTH_CHECKS"], entry["PASSWORD"]) == (None, False, "other")
    assert entry["OPTIONS"]["connect_timeout"] == 7


def test_libpqs_password_is_used_for_listening_too() -> None:
    reading = read_settings(KEYPORTAL_LISTEN_URL="postgres://user@host/name", PGPASSWORD="se/cret")
    assert reading.values is not None
    assert conninfo_to_dict(reading.values["KEYPORTAL_LISTEN_URL"])["password"] == "se/cret"


@pytest.mark.parametrize(
    ("address", "host", "port", "name"),
    [
        ("postgres://one,two/name?target_session_attrs=read-write", "one,two", "", "name"),
        ("postgres://one,two:5433/name", "one,two", "5432,5433", "name"),
        ("postgres://one:1,[::1]:2/name", "one,::1", "1,2", "name"),
        ("postgres://%2Fvar%2Frun/name", "/var/run", "", "name"),
        ("postgres:////var/run/name", "/var/run", "", "name"),
        ("postgres:///name?host=/var/run&port=5433", "/var/run", "5433", "name"),
        ("postgres://host/na%2Fme%20+", "host", "", "na/me +"),
        ("postgres://host?dbname=name", "host", "", "name"),
    ],
)
def test_hosts_sockets_and_names(address: str, host: str, port: str, name: str) -> None:
    entry = database(address)
    assert (entry["HOST"], str(entry["PORT"]), entry["NAME"]) == (host, port, name)


def test_the_same_thing_twice_is_refused() -> None:
    for address in ("host/name?host=other", "user@host/name?user=other", "host/name?sslmode=allow&sslmode=require"):
        assert read_settings(DATABASE_URL=f"postgres://{address}").values is None


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("sqlite:///data.sqlite3", f"{ROOT}/data.sqlite3"),
        ("sqlite:////srv/data.sqlite3", "/srv/data.sqlite3"),
        ("sqlite:////srv/c%23/x%3Fy/a b/%2541/ü+@&;=.sqlite3", "/srv/c#/x?y/a b/%41/ü+@&;=.sqlite3"),
        ("sqlite:////srv/%41%20.sqlite3", "/srv/A .sqlite3"),
    ],
)
def test_a_file_is_where_the_address_says(
    address: str, file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert database(address)["NAME"] == file


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:////srv/c#/pLaNtEd7.sqlite3",
        "sqlite:////srv/x?y/pLaNtEd7.sqlite3",
        "sqlite:////srv/100%/pLaNtEd7.sqlite3",
        "sqlite:////srv/%FF/pLaNtEd7.sqlite3",
        "sqlite:////srv/%00/pLaNtEd7.sqlite3",
        "sqlite://pLaNtEd7.sqlite3",
        "sqlite:pLaNtEd7.sqlite3",
        "sqlite:///",
        "sqlite://",
        "sqlite://:memory:",
        "sqlite:///:memory:",
        "sqlite:////srv/pLaNtEd7/",
        "sqlite:///~/pLaNtEd7",
        "sqlite:////srv/a?timeout=pLaNtEd7",
        "sqlite:////srv/a?isolation_level=pLaNtEd7",
        "sqlite:////srv/a?transaction_mode=pLaNtEd7",
    ],
)
def test_a_file_that_can_not_be_meant_is_refused(address: str) -> None:
    reading = read_settings(DATABASE_URL=address)
    assert reading.values is None
    (line,) = reading.lines
    assert line.startswith("keyportal: DATABASE_URL ")
    assert PLANTED not in line


def test_options_of_sqlite_win_and_its_commands_come_last() -> None:
    options = database("sqlite:///a?timeout=20&init_command=PRAGMA synchronous%3DFULL&transaction_mode=EXCLUSIVE")
    assert (options["OPTIONS"]["timeout"], options["OPTIONS"]["transaction_mode"]) == (20.0, "EXCLUSIVE")
    pragmas = options["OPTIONS"]["init_command"]
    assert pragmas.startswith("PRAGMA journal_mode=WAL; ")
    assert pragmas.endswith("PRAGMA synchronous=FULL")


@pytest.mark.parametrize("name", ["DATABASE_URL", "KEYPORTAL_LISTEN_URL"])
@pytest.mark.parametrize(
    "option",
    [
        "require_auth=pLaNtEd7",
        "require_auth=md5,pLaNtEd7",
        "hostaddr=pLaNtEd7",
        "hostaddr=192.0.2.1,pLaNtEd7",
        "options=pLaNtEd7",
        "options=--pLaNtEd7",
        "options=-c+pLaNtEd7",
        "options=-c+x=1+pLaNtEd7",
        "options=-x+pLaNtEd7=1",
        "sslcertmode=pLaNtEd7",
        "sslnegotiation=pLaNtEd7",
        "ssl_min_protocol_version=pLaNtEd7",
        "sslsni=pLaNtEd7",
    ],
)
def test_a_value_that_libpq_would_quote_is_refused(name: str, option: str) -> None:
    reading = read_settings(**{name: f"postgres://user:x@host/name?{option}"})
    assert reading.values is None
    (line,) = reading.lines
    assert line.startswith(f"keyportal: {name} has a {option.partition('=')[0]} after its ? that must be ")
    assert PLANTED not in line


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("require_auth", "!password,!md5"),
        ("hostaddr", "192.0.2.1,2001:db8::1"),
        ("options", "-c search_path=a\\ b,c --work-mem=1MB -cgeqo=off"),
        ("ssl_min_protocol_version", "TLSv1.3"),
    ],
)
def test_a_value_that_libpq_takes_is_taken(option: str, value: str) -> None:
    assert value in database(f"postgres://user@host/name?{option}={quote(value)}")["OPTIONS"][option]
