"""Addresses of services: what is in a password is in the password, or the address is refused; what they say wins."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus

import pytest
from psycopg.conninfo import conninfo_to_dict
from redis import ConnectionPool

from keyportal.databases import TIMEOUTS, with_timeouts
from tests.portal import ROOT
from tests.settings_reader import Reading, read_settings

pytestmark = [pytest.mark.sweep, pytest.mark.once, pytest.mark.finding("H12")]

CANARY = "cAnArY7q"
ODD = (*"/?#@:%&+$=;,!*'()[]{}\\\"<>^`|~ü€漢 ", "%41", "%zz", "[x]", "[::1]")
PLACES = ("{}", "head{}", "a@b{}c", "12{}sslmode=require", "12{}x=1&y@z")
ENTRY_POINTS: dict[str, tuple[str, Callable[[Reading], Any]]] = {
    "DATABASE_URL": (
        "postgres://user:{}@db.example.com:5433/name",
        lambda reading: reading.values and reading.values["DATABASES"]["default"]["PASSWORD"],
    ),
    "KEYPORTAL_LISTEN_URL": (
        "postgresql://user:{}@db.example.com:5433/name",
        lambda reading: reading.values and conninfo_to_dict(reading.values["KEYPORTAL_LISTEN_URL"])["password"],
    ),
    "CACHE_URL": (
        "rediss://user:{}@cache.example.com:6380/1",
        lambda reading: (
            reading.values and ConnectionPool.from_url(reading.values["CACHE_URL"]).connection_kwargs["password"]
        ),
    ),
    "EMAIL_URL": (
        "smtp+tls://user:{}@mail.example.com:2525",
        lambda reading: reading.values and reading.values["EMAIL_HOST_PASSWORD"],
    ),
}
every_endpoint = pytest.mark.parametrize("name", ENTRY_POINTS)
ENCODE = "percent-encoded"


@every_endpoint
@pytest.mark.parametrize("odd", ODD)
def test_a_password_is_read_as_it_was_written_or_refused(name: str, odd: str) -> None:
    """django-environ ends it at a slash, and takes what is left for a host, a port or an option."""
    form, password_of = ENTRY_POINTS[name]
    for place in PLACES:
        for password in (place.format(f"{CANARY}{odd}{CANARY}"), place.format(odd)):
            reading = read_settings(**{name: form.format(password)})
            if reading.values is None:
                (line,) = reading.lines
                assert line.startswith(f"keyportal: {name} ")
                assert ENCODE in line
                assert CANARY not in line
            else:
                # A percent sign with two digits behind it can't be told from an encoded character.
                assert password_of(reading) == password.replace("%41", "A")
                assert reading.lines == []


@every_endpoint
@pytest.mark.parametrize("password", [*ODD, "".join(ODD), "1/2@3"])
def test_an_encoded_password_works(name: str, password: str) -> None:
    form, password_of = ENTRY_POINTS[name]
    reading = read_settings(**{name: form.format(quote(password, safe=""))})
    assert password_of(reading) == password
    assert reading.lines == []


@every_endpoint
def test_what_can_not_be_a_password_is_refused(name: str) -> None:
    form, _ = ENTRY_POINTS[name]
    for password in (f"{CANARY}%FF", f"{CANARY}%00", f"{CANARY}%0A", f"{CANARY}%", f"{CANARY}\u2100", f"{CANARY}[::"):
        reading = read_settings(**{name: form.format(password)})
        assert reading.values is None
        assert len(reading.lines) == 1
        assert CANARY not in reading.lines[0]


@every_endpoint
@pytest.mark.parametrize(
    "wrong",
    [
        "{scheme}://user:cAnArY7q@",
        "{scheme}://user:cAnArY7q@host:port/1",
        "{scheme}://user:cAnArY7q@host:99999/1",
        "{scheme}://user:cAnArY7q@host:70000/1",
        "{scheme}://user:cAnArY7q@host/1/2",
        "{scheme}://user:cAnArY7q@host/1?cAnArY7q",
        "{scheme}://user:cAnArY7q@host/1?cAnArY7q=1",
        "{scheme}://user:cAnArY7q@host/1?timeout=cAnArY7q&sslmode=cAnArY7q&socket_timeout=cAnArY7q",
        "{scheme}://user:cAnArY7q@[::1/1",
        "{scheme}://user:cAnArY7q@[cAnArY7q]/1",
        "{scheme}:user:cAnArY7q@host/1",
        "mysql://user:cAnArY7q@host/1",
        "cAnArY7q",
        "user:cAnArY7q@host",
        "{scheme}s://user:cAnArY7q@host/1",
        "{scheme}://user:cAnArY7q@ho st/1",
        "{scheme}://user:cAnArY7q@host/" + "n" * 64,
    ],
)
def test_an_address_that_is_none_is_refused(name: str, wrong: str) -> None:
    form, _ = ENTRY_POINTS[name]
    reading = read_settings(**{name: wrong.format(scheme=form.partition("://")[0])})
    assert reading.values is None
    (line,) = reading.lines
    assert line.startswith(f"keyportal: {name} ")
    assert CANARY not in line


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
    assert (entry["CONN_MAX_AGE"], entry["CONN_HEALTH_CHECKS"]) == (None, True)


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
        "sqlite:////srv/c#/cAnArY7q.sqlite3",
        "sqlite:////srv/x?y/cAnArY7q.sqlite3",
        "sqlite:////srv/100%/cAnArY7q.sqlite3",
        "sqlite:////srv/%FF/cAnArY7q.sqlite3",
        "sqlite:////srv/%00/cAnArY7q.sqlite3",
        "sqlite://cAnArY7q.sqlite3",
        "sqlite:cAnArY7q.sqlite3",
        "sqlite:///",
        "sqlite://",
        "sqlite://:memory:",
        "sqlite:///:memory:",
        "sqlite:////srv/cAnArY7q/",
        "sqlite:///~/cAnArY7q",
        "sqlite:////srv/a?timeout=cAnArY7q",
        "sqlite:////srv/a?isolation_level=cAnArY7q",
        "sqlite:////srv/a?transaction_mode=cAnArY7q",
    ],
)
def test_a_file_that_can_not_be_meant_is_refused(address: str) -> None:
    reading = read_settings(DATABASE_URL=address)
    assert reading.values is None
    (line,) = reading.lines
    assert line.startswith("keyportal: DATABASE_URL ")
    assert CANARY not in line


def test_options_of_sqlite_win_and_its_commands_come_last() -> None:
    options = database("sqlite:///a?timeout=20&init_command=PRAGMA synchronous%3DFULL&transaction_mode=EXCLUSIVE")
    assert (options["OPTIONS"]["timeout"], options["OPTIONS"]["transaction_mode"]) == (20.0, "EXCLUSIVE")
    pragmas = options["OPTIONS"]["init_command"]
    assert pragmas.startswith("PRAGMA journal_mode=WAL; ")
    assert pragmas.endswith("PRAGMA synchronous=FULL")


@pytest.mark.parametrize(
    ("address", "port", "tls", "ssl"),
    [
        ("smtp://mail.example.com", 25, False, False),
        ("smtp+tls://mail.example.com", 587, True, False),
        ("smtp+ssl://mail.example.com/", 465, False, True),
        ("smtp+tls://mail.example.com:2525", 2525, True, False),
    ],
)
def test_a_mail_server_has_the_port_of_its_kind(address: str, port: int, tls: bool, ssl: bool) -> None:
    values = read_settings(EMAIL_URL=address).values
    assert values is not None
    assert (values["EMAIL_PORT"], values["EMAIL_USE_TLS"], values["EMAIL_USE_SSL"]) == (port, tls, ssl)
    assert values["EMAIL_TIMEOUT"] == 5
    assert values["EMAIL_CONFIGURED"]


def test_a_mail_servers_time_is_the_operators() -> None:
    values = read_settings(EMAIL_URL="smtp://user%40example.com:x@mail.example.com?timeout=30").values
    assert values is not None
    assert (values["EMAIL_TIMEOUT"], values["EMAIL_HOST_USER"]) == (30, "user@example.com")


@pytest.mark.parametrize(
    "address",
    [
        "redis://cache.example.com",
        "rediss://cache.example.com:6380/1?ssl_ca_certs=/srv/ca.pem&socket_timeout=0.2",
        "valkey://:password@cache.example.com/0",
        "valkeys://cache.example.com/",
        "unix:///run/redis.sock?db=1",
        "unix://user:password@/run/redis.sock",
        "redis://[::1]:6379/0",
    ],
)
def test_a_redis_is_taken_in_each_of_its_spellings(address: str) -> None:
    reading = read_settings(CACHE_URL=address)
    assert reading.lines == []
    assert reading.option("CACHE_URL") == address


@pytest.mark.parametrize(
    "address",
    ["redis://", "redis:///0", "redis://host/one", "redis://host/0?db=", "redis://host/0?db=cAnArY7q", "unix://"],
)
def test_a_redis_that_can_not_be_meant_is_refused(address: str) -> None:
    reading = read_settings(CACHE_URL=address)
    assert reading.values is None
    assert len(reading.lines) == 1
    assert CANARY not in reading.lines[0]


@pytest.mark.parametrize("name", ["DATABASE_URL", "KEYPORTAL_LISTEN_URL"])
@pytest.mark.parametrize(
    "option",
    [
        "require_auth=cAnArY7q",
        "require_auth=md5,cAnArY7q",
        "hostaddr=cAnArY7q",
        "hostaddr=192.0.2.1,cAnArY7q",
        "options=cAnArY7q",
        "options=--cAnArY7q",
        "options=-c+cAnArY7q",
        "options=-c+x=1+cAnArY7q",
        "options=-x+cAnArY7q=1",
        "sslcertmode=cAnArY7q",
        "sslnegotiation=cAnArY7q",
        "ssl_min_protocol_version=cAnArY7q",
        "sslsni=cAnArY7q",
    ],
)
def test_a_value_that_libpq_would_quote_is_refused(name: str, option: str) -> None:
    reading = read_settings(**{name: f"postgres://user:x@host/name?{option}"})
    assert reading.values is None
    (line,) = reading.lines
    assert line.startswith(f"keyportal: {name} has a {option.partition('=')[0]} after its ? that must be ")
    assert CANARY not in line


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
