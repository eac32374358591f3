"""A database that answers and keeps nothing, as on a full disk: verdicts go on, all else is 503, and it is told."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from django.test import Client as Browser

from accounts.models import User
from accounts.sessions import SessionStore
from credentials.runtime.database_writes import READ_ONLY, database_writes
from keyportal.errors.problems import is_of_the_database
from keyportal.mailer import Mailer
from keyportal.metrics.snapshot import own_snapshot
from tests.databases import portal_database
from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Answer, Portal
from tests.unwritten import MAKE, OPERATOR, OWNER, Site, Visitor, no_writes, nothing_is_kept, read_only
from tests.waiting import wait_until

pytestmark = pytest.mark.finding("H47")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    metrics = {"KEYPORTAL_METRICS_NETWORKS": "127.0.0.1", "KEYPORTAL_METRICS_DIR": str(tmp_path / "metrics")}
    with (
        portal_database(tmp_path) as database_url,
        Portal(tmp_path, database_url, **metrics).running(workers=2) as portal,
    ):
        developer = Visitor(portal, OWNER, make=True)
        portal.shell(MAKE)
        portal.forget_guesses()
        operator = Visitor(portal, OPERATOR, make=False)
        client = ClientKey(*portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted"))
        key, _ = portal.make_key(OWNER)
        portal.forget_guesses()
        yield Site(portal, developer, operator, client, key, OAuthClient(portal).log_in(OWNER))


def statuses(asked: dict[str, Callable[[], Answer]]) -> dict[str, int]:
    return {name: ask().status for name, ask in asked.items()}


def test_a_database_that_keeps_nothing_is_503_and_never_the_client_s_fault(site: Site) -> None:
    portal = site.portal
    assert set(statuses(site.verdicts()).values()) == {200}
    assert (site.warnings(), site.takes_writes()) == ([""], 1.0)
    with no_writes(portal) as why:
        for name, ask in {**site.pages(), **site.machines()}.items():
            written = portal.log.stat().st_size
            answer = ask()
            assert (answer.status, answer.headers["retry-after"]) == (503, "2"), name
            assert b"</h1>" in answer.body or b"unavailable" in answer.body, name
            logged = portal.log.read_bytes()[written:].decode()
            assert "unavailable: django.db.utils." in logged, name
        assert statuses(site.verdicts()) == dict.fromkeys(site.verdicts(), 200)
        wait_until(
            lambda: site.warnings() == [f"the database accepts no writes: {why}"], otherwise=portal.log.read_text
        )
        wait_until(lambda: site.takes_writes() == 0.0)
        assert portal.log.read_text().count(f"the database accepts no writes: {why}. Verdicts continue") == 2
    wait_until(lambda: site.warnings() == [""], otherwise=portal.log.read_text)
    wait_until(lambda: site.takes_writes() == 1.0)
    assert portal.log.read_text().count("the database accepts writes again") == 2
    assert site.developer.look("/keys/").status == 200
    assert OAuthClient(portal).refresh(site.pair["refresh_token"]).status == 200  # nothing was half done
    assert site.developer.create().status == 200  # by the form that was refused


def test_a_command_says_what_the_database_says(site: Site) -> None:
    if site.portal.is_on_sqlite:
        site.portal.environment["DATABASE_URL"] += "?init_command=PRAGMA%20query_only%3DON"
        made = site.portal.start_command("createkey", OWNER, "--name", "x")
    else:
        with read_only(site.portal.environment["DATABASE_URL"]):
            made = site.portal.start_command("createkey", OWNER, "--name", "x")
    assert (made.returncode, made.stdout) == (1, "")
    (line,) = made.stderr.splitlines()
    assert "django.db.utils." in line
    assert "(SQLITE_READONLY: it is read-only)" in line or "(SQLSTATE 25006: it is read-only)" in line


@pytest.mark.django_db
def test_a_request_that_could_not_write_is_noted_at_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_writes(), "fault", "")  # it is the process's, and known to the tests after this one
    session = SessionStore()
    session["theme"] = "of a form"
    session.save()
    browser = Browser(raise_request_exception=False)
    browser.cookies[settings.SESSION_COOKIE_NAME] = session.token or ""
    with nothing_is_kept():
        answers = [browser.get("/accounts/login/", secure=True).status_code for _ in range(2)]
    assert answers == [503, 503]
    assert caplog.text.count(f"the database accepts no writes: {READ_ONLY}") == 1
    assert not own_snapshot().value("keyportal_database_takes_writes")
    ready = browser.get("/readyz", secure=True)
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.json()["warnings"] == [f"the database accepts no writes: {READ_ONLY}"]


def error_with_cause(kind: type[DatabaseError], cause: Exception) -> DatabaseError:
    error = kind()
    error.__cause__ = cause
    return error


def can_not_be_written(*given: object, **named: object) -> None:
    raise error_with_cause(InternalError, psycopg.errors.ReadOnlySqlTransaction())


@pytest.mark.once
def test_a_message_that_can_not_be_taken_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_writes(), "fault", "")
    assert not Mailer()._run_task(can_not_be_written)
    assert database_writes().fault == READ_ONLY


@pytest.mark.django_db
def test_denied_access_that_can_not_be_recorded_is_noted(
    log_in: Callable[[User], Browser], developer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_writes(), "fault", "")
    monkeypatch.setattr("keyportal.errors.denied.record_event", can_not_be_written)
    assert log_in(developer).get("/admin/", secure=True).status_code == 403
    assert database_writes().fault == READ_ONLY


@pytest.mark.once
@pytest.mark.parametrize(
    ("error", "its_own"),
    [
        (OperationalError(), True),
        (InternalError(), True),
        (InterfaceError(), True),
        (DatabaseError(), True),  # SQLite's, for a file that is broken
        (error_with_cause(ProgrammingError, psycopg.errors.InsufficientPrivilege()), True),
        (error_with_cause(ProgrammingError, psycopg.errors.UndefinedTable()), True),
        (error_with_cause(ProgrammingError, psycopg.errors.SyntaxError()), False),
        (ProgrammingError(), False),
        (NotSupportedError(), False),
        (IntegrityError(), False),
        (DataError(), False),
        (ValueError(), False),
    ],
)
def test_what_the_database_can_not_do_is_told_from_what_it_refuses(error: Exception, its_own: bool) -> None:
    assert is_of_the_database(error) is its_own
