"""What a service says of a setting that it does not take is in no output and in no log: class and code only."""

import logging
import smtplib
import sqlite3
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from django.db import OperationalError, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django import DjangoDbBlocker
from redis.exceptions import RedisError

from keyportal.databases import with_defaults
from keyportal.errors.redacted_errors import DATABASE, format_redacted, in_short
from keyportal.logs import JSONFormatter, RequestFilter, TextFormatter
from keyportal.options.addresses import postgresql
from tests.portal import Portal
from tests.waiting import wait_until
from tests.with_postgres import Cluster, postgres_cluster
from vault.rings import new_entry
from vault.secret_format import new_secret

pytestmark = [pytest.mark.once, pytest.mark.finding("H12")]

PLANTED = "pLaNtEd7"
RINGS = {"KEYPORTAL_SEALING_KEYS": new_entry("s1"), "KEYPORTAL_INDEX_KEYS": new_entry("i1")}
OPTIONS = [
    f"options={quote(f'-c {PLANTED}=1')}",
    f"options={quote(f'-c search_path=a -c lock_timeout={PLANTED}')}",
    f"options={quote(f'--{PLANTED}=1')}",
    f"service={PLANTED}",
    f"assume_role={PLANTED}",
    f"client_encoding={PLANTED}",
    f"sslrootcert=/{PLANTED}&sslmode=verify-full",
    f"sslcert=/{PLANTED}&sslkey=/{PLANTED}&sslmode=require",
    f"passfile=/{PLANTED}",
    f"krbsrvname={PLANTED}&gssencmode=require",
    f"requirepeer={PLANTED}",
    f"replication={PLANTED}",
]
PLACES = [
    f"postgres://{PLANTED}:x@127.0.0.1:{{port}}/keyportal",
    f"postgres://keyportal:{PLANTED}@127.0.0.1:{{port}}/keyportal",
    f"postgres://keyportal:{{password}}@127.0.0.1:{{port}}/{PLANTED}",
    f"postgres://keyportal:{{password}}@{PLANTED}.invalid:{{port}}/keyportal",
    f"postgres://keyportal:{{password}}@%2F{PLANTED}:{{port}}/keyportal",
]
ADDRESSES = [*PLACES, *(f"postgres://keyportal:{{password}}@127.0.0.1:{{port}}/keyportal?{given}" for given in OPTIONS)]
FEW = [ADDRESSES[0], ADDRESSES[2], *ADDRESSES[5:8], ADDRESSES[9]]
"""Of each way in which a database says no, one."""
COMMANDS = [["migrate", "--check"], ["check", "--database", "default"], ["purge"], ["makemigrations", "--check"]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL with the portal's tables."""
    with postgres_cluster() as started:
        Portal(Path(), started.url, **RINGS).command("migrate", "--verbosity=0")
        yield started


def place(cluster: Cluster, address: str) -> str:
    return address.format(port=cluster.port, password=cluster.password)


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Iterator[Portal]:
    portal = Portal(tmp_path, cluster.url, **RINGS)
    yield portal
    portal.stop()


@pytest.mark.postgresql
@pytest.mark.parametrize("address", ADDRESSES)
def test_what_a_database_says_of_its_address_is_in_no_traceback(
    cluster: Cluster, address: str, django_db_blocker: DjangoDbBlocker
) -> None:
    variables = dict.fromkeys(("PGOPTIONS", "PGCONNECT_TIMEOUT", "PGPASSWORD"), "")
    entry = with_defaults({**variables, "DATABASE_URL": postgresql(place(cluster, address))})
    connection = DatabaseWrapper(connections.configure_settings({"default": entry})["default"], "odd")
    text = ""
    try:
        with django_db_blocker.unblock():
            connection.ensure_connection()
    except DATABASE as error:
        text = format_redacted(error) + in_short(error)
    finally:
        connection.close()
    assert PLANTED.lower() not in text.lower()
    assert not text or "django.db.utils." in text


@pytest.mark.postgresql
@pytest.mark.parametrize(("address", "command"), list(zip(FEW, (2 * COMMANDS)[: len(FEW)], strict=True)))
def test_no_command_shows_what_the_database_says_of_its_address(
    site: Portal, cluster: Cluster, address: str, command: list[str]
) -> None:
    site.environment["DATABASE_URL"] = place(cluster, address)
    ended = site.start_command(*command)
    printed = ended.stdout + ended.stderr
    assert PLANTED.lower() not in printed.lower()
    assert "Traceback" not in printed
    if ended.returncode:
        assert "keyportal: the database in DATABASE_URL reported an error: django.db.utils." in ended.stderr


@pytest.mark.postgresql
def test_a_refused_log_in_is_told_by_its_sqlstate_or_class(site: Portal, cluster: Cluster) -> None:
    site.environment["DATABASE_URL"] = f"{cluster.url}?assume_role={PLANTED}"
    ended = site.start_command("migrate", "--check")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1].endswith("DataError (SQLSTATE 22023)")


@pytest.mark.postgresql
@pytest.mark.parametrize(("address", "style"), list(zip(FEW, ["json", "text"] * 3, strict=True)))
def test_no_started_server_logs_it(site: Portal, cluster: Cluster, address: str, style: str) -> None:
    wrong = place(cluster, address)
    services = {"CACHE_URL": f"redis://{PLANTED}.invalid:1/0", "EMAIL_URL": f"smtp://{PLANTED}.invalid"}
    site.environment |= {"DATABASE_URL": wrong, "KEYPORTAL_LISTEN_URL": wrong, **services}
    site.environment |= {"KEYPORTAL_LOG_FORMAT": style, "KEYPORTAL_RATE_LIMIT": "10/minute"}
    site.spawn(workers=1)
    wait_until(site.answers, otherwise=site.log.read_text)
    for path in ("/readyz", "/accounts/login/", "/gateway/auth", "/api/v1/keys"):
        assert site.get(path, Authorization=f"Bearer {key()}").status in (200, 301, 401, 404, 500, 503)
    wait_until(lambda: "Traceback" in site.log.read_text(), otherwise=site.log.read_text)  # of a periodic task
    site.stop()
    assert PLANTED.lower() not in site.log.read_text().lower()


def key() -> str:
    """Return a well-formed secret: any other text is refused without the database."""
    return new_secret("kp", "live")


def raise_while_handling(error: BaseException) -> BaseException:
    """Raise an error while another is handled that says the same, and give it."""
    try:
        try:
            raise psycopg.OperationalError(f"invalid value: {PLANTED}")
        except psycopg.Error as cause:
            raise error from cause
    except type(error) as caught:
        return caught


ERRORS = [
    OperationalError(PLANTED),
    psycopg.errors.InvalidParameterValue(PLANTED),
    sqlite3.OperationalError(PLANTED),
    RedisError(PLANTED),
    smtplib.SMTPAuthenticationError(535, PLANTED.encode()),
    ssl.SSLCertVerificationError(1, PLANTED),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()], ids=["json", "text"])
def test_a_line_of_the_log_has_the_frames_of_an_error_and_not_its_text(
    error: Exception, formatter: logging.Formatter
) -> None:
    caught = raise_while_handling(error)
    given = (type(caught), caught, caught.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "x", 1, "it broke: %s", (caught,), given)
    assert RequestFilter().filter(record)
    line = formatter.format(record)
    assert PLANTED not in line
    assert type(error).__name__ in line
    assert "in raise_while_handling" in line
    assert "direct cause" in line


def test_other_errors_keep_their_texts() -> None:
    shown = format_redacted(raise_while_handling(ValueError("what is wrong")))
    assert shown.endswith("ValueError: what is wrong")
    assert PLANTED not in shown


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (
            psycopg.errors.UndefinedTable(PLANTED),
            "psycopg.errors.UndefinedTable (SQLSTATE 42P01: a table is missing: run manage.py migrate)",
        ),
        (smtplib.SMTPDataError(554, b"x"), "smtplib.SMTPDataError (SMTP 554)"),
        (RedisError(PLANTED), "redis.exceptions.RedisError"),
        (ValueError(PLANTED), "ValueError"),
    ],
)
def test_an_error_in_short_has_class_and_code(error: Exception, short: str) -> None:
    assert in_short(error) == short


def test_what_sqlite_calls_an_error_is_told() -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect(":memory:").execute(f"SELECT {PLANTED}")
    assert in_short(caught.value) == "sqlite3.OperationalError (SQLITE_ERROR)"
