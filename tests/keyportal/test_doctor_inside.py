"""The doctor looks at a deployment from inside: each fault is planted, and found."""

import json
import resource
import sqlite3
import ssl
import sys
import threading
from collections.abc import Iterable
from datetime import timedelta
from importlib import metadata
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django.fixtures import Settings
from redis import Redis

from accounts.models import PendingMessage, User
from apikeys.models import APIKey, KeyPolicy
from audit.event_types import EventType
from audit.models import ChainLink, Event
from audit.origin import Origin
from audit.services import record_event
from credentials.scopes.models import Scope
from keyportal.doctor import (
    accounts,
    configuration,
    database,
    examination,
    host,
    mail,
    page,
    postgresql,
    shared_counter,
    sqlite,
    tasks,
    versions,
)
from keyportal.doctor.findings import KINDS, Finding, Level, as_json, by_weight, summary, worst_status
from keyportal.models import TaskRun
from tests import doctor_page
from tests.conftest import LogIn, MakeKey, MakeUser
from tests.keyportal.rights import with_rights
from tests.mail_server import Manners, mail_server
from tests.portal import Portal
from tests.ports import free_port
from tests.redis_server import redis_server

pytestmark = pytest.mark.django_db
FILES: Final = ("test_doctor_inside.py", "test_doctor_outside.py")
OF_THE_TESTS: Final = {"postgresql_superuser", "postgresql_setting"}
"""The role of the tests' PostgreSQL may do everything, and the server waits for no disk."""


def codes(found: Iterable[Finding]) -> set[str]:
    """Return the codes of findings, each of which says something."""
    listed = list(found)
    assert all(finding.seen.endswith(".") for finding in listed)
    return {finding.code for finding in listed}


def test_every_kind_of_finding_is_planted_and_has_something_to_say() -> None:
    planted = "".join((Path(__file__).parent / file).read_text() for file in FILES)
    assert [code for code in KINDS if f'"{code}"' not in planted] == []
    for kind in KINDS.values():
        assert kind.meaning.endswith((".", ")"))
        assert kind.advice.endswith((".", ")"))


def test_the_page_lists_every_kind() -> None:
    assert doctor_page.PAGE.read_text() == doctor_page.render(doctor_page.PAGE.read_text())


# --- the settings ---


def test_what_system_checks_say_is_found(settings: Settings) -> None:
    settings.KEYPORTAL_URL = "http://portal.example.com"
    settings.KEYPORTAL_STRAY_NAMES = ("KEYPORTAL_URLL is no setting",)
    settings.KEYPORTAL_TRUSTED_PROXIES = ("0.0.0.0/0",)
    found = list(configuration.examine())
    assert {"E005", "W040", "E021"} <= codes(found)
    assert all(finding.advice for finding in found)


def test_files_of_secrets_that_others_can_read_are_found(settings: Settings, tmp_path: Path) -> None:
    secret = tmp_path / "sealing"
    secret.write_text("x")
    settings.KEYPORTAL_ENV_FILE = str(tmp_path / "none")
    settings.KEYPORTAL_SETTINGS_FILES = {"KEYPORTAL_SEALING_KEYS": secret}
    secret.chmod(0o640)
    assert "file_readable" not in codes(configuration.examine())
    secret.chmod(0o644)
    assert "file_readable" in codes(configuration.examine())
    settings.KEYPORTAL_SETTINGS_FILES = {}
    settings.KEYPORTAL_ENV_FILE = str(secret)
    assert "file_readable" in codes(configuration.examine())


def test_local_mode_and_root_are_noted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.KEYPORTAL_LOCAL = True
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert {"local_mode", "runs_as_root"} <= codes(configuration.examine())
    settings.KEYPORTAL_LOCAL = False
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert not {"local_mode", "runs_as_root"} & codes(configuration.examine())


# --- the database ---


def test_a_database_that_is_well_is_well() -> None:
    assert codes(database.examine()) <= OF_THE_TESTS


def test_a_database_that_can_not_be_asked_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OperationalError("password of somebody is wrong")

    monkeypatch.setattr(connection, "ensure_connection", fail)
    found = list(database.examine())
    assert codes(found) == {"database_away"}
    assert "somebody" not in found[0].seen
    with pytest.raises(OperationalError):
        connection.ensure_connection()


def test_a_migration_that_is_missing_is_found() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'tokens'")
    assert codes(database.examine()) == {"not_migrated"}


def test_missing_triggers_are_found() -> None:
    names = {"change_triggers": "keyportal_change_apikeys_apikey_update", "trail_unguarded": "audit_event_no_update"}
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit_event'")
            for name in (names["change_triggers"], cursor.fetchone()[0]):
                cursor.execute(f"DROP TRIGGER {name}")
        else:
            cursor.execute("ALTER TABLE apikeys_apikey DISABLE TRIGGER keyportal_notify")
            cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
    assert {"change_triggers", "trail_unguarded"} <= codes(database.examine())


def test_a_database_that_takes_no_writes_is_found() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA query_only = on")
        else:
            cursor.execute("SET TRANSACTION READ ONLY")
        try:
            assert "no_writes" in codes(database.examine())
        finally:
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA query_only = off")
    assert not TaskRun.objects.filter(task="doctor").exists()


def test_rings_of_another_database_are_found(make_key: MakeKey, settings: Settings) -> None:
    make_key()
    settings.KEYPORTAL_INDEX_KEYS = settings.KEYPORTAL_INDEX_KEYS.replace("i1:", "other:")
    assert "E008" in codes(database.examine())


@pytest.mark.second
def test_what_is_wrong_with_postgresql_is_found(settings: Settings) -> None:
    settings.KEYPORTAL_WORKERS = 100
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
    try:
        with time_machine.travel(timezone.now() + timedelta(minutes=1)):
            found = list(postgresql.examine())
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET synchronous_commit")
    assert codes(found) >= {"postgresql_connections", "postgresql_setting", "clock_of_database"}
    assert any("60 seconds ahead of" in finding.seen for finding in found)


def test_an_old_postgresql_is_found() -> None:
    assert codes(postgresql._version(12)) == {"postgresql_too_old"}
    with time_machine.travel("2027-11-12", tick=False):
        assert codes(postgresql._version(15)) == {"postgresql_unsupported"}
        assert codes(postgresql._version(16)) == codes(postgresql._version(99)) == set()


@pytest.mark.second
def test_where_postgresql_is_and_who_asks_is_looked_at(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert codes(postgresql.examine()) <= OF_THE_TESTS
    monkeypatch.setattr(postgresql, "is_on_this_host", lambda host: False)
    assert "postgresql_in_clear" in codes(postgresql.examine())
    settings.KEYPORTAL_LISTEN_URL = f"postgres://nobody@127.0.0.1:{free_port()}/x"
    assert "changes_not_heard" in codes(postgresql.examine())


def test_a_row_of_the_server_is_read_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this server can't be made to have: another encoding, a role that is a superuser."""
    row = [timezone.now(), 150000, "SQL_ASCII", 100, "on", True]
    cursor = SimpleNamespace(execute=lambda *a: None, fetchone=lambda: row, fetchall=list)
    fake = SimpleNamespace(cursor=lambda: _Context(cursor), settings_dict={"HOST": ""})
    monkeypatch.setattr(postgresql, "connections", {"default": fake})
    monkeypatch.setattr(postgresql, "_listening", lambda: iter(()))
    assert codes(postgresql.examine()) == {"postgresql_encoding", "postgresql_superuser"}


class _Context:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __enter__(self) -> Any:
        return self.inner

    def __exit__(self, *error: object) -> None:
        """End."""


def test_where_sqlite_is_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "portal.sqlite3"
    with sqlite3.connect(file) as raw:
        fake = SimpleNamespace(cursor=lambda: _Context(raw), settings_dict={"NAME": file})
        monkeypatch.setattr(sqlite, "connections", {"default": fake})
        monkeypatch.setattr(sqlite, "file_system", lambda folder: "nfs4")
        monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1024))
        monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 36, 0))
        assert codes(sqlite.examine()) == {"sqlite_on_network", "sqlite_journal", "sqlite_old", "disk_space"}
    raw.close()


def test_the_kind_of_a_file_system_is_that_of_the_innermost_mount() -> None:
    assert sqlite.file_system(Path("/proc/self")) == "proc"
    assert sqlite.file_system(Path("/")) not in ("", "proc")


# --- what workers do ---


def test_what_is_overdue_is_found(make_key: MakeKey) -> None:
    assert "purge_overdue" in codes(tasks.examine())
    run = TaskRun.objects.create(task="purge", started_at=timezone.now(), finished_at=timezone.now(), by="test")
    key, _ = make_key()
    assert codes(tasks.examine()) == set()
    TaskRun.objects.filter(pk=run.pk).update(finished_at=timezone.now() - timedelta(hours=4))
    APIKey.objects.filter(pk=key.pk).update(notice_at=timezone.now() - timedelta(hours=4))
    PendingMessage.objects.create(what="test", created_at=timezone.now() - timedelta(minutes=6))
    PendingMessage.objects.create(what="test", given_up_at=timezone.now())
    assert codes(tasks.examine()) == {"purge_overdue", "notices_overdue", "messages_waiting", "messages_given_up"}


def test_a_chain_that_is_behind_is_found(developer: User) -> None:
    TaskRun.objects.create(task="purge", started_at=timezone.now(), finished_at=timezone.now(), by="test")
    with time_machine.travel(timezone.now() - timedelta(hours=2)):
        record_event(EventType.LOGGED_OUT, subject=f"user:{developer.pk}", origin=Origin(actor="test"))
    assert codes(tasks.examine()) == {"chain_behind"}
    assert ChainLink.objects.count() == 0


def test_forged_events_and_events_of_the_future_are_found(developer: User) -> None:
    TaskRun.objects.create(task="purge", started_at=timezone.now(), finished_at=timezone.now(), by="test")
    later = timezone.now() + timedelta(days=1)
    Event.objects.bulk_create(
        [Event(at=later, verb="logged_out", actor="x", subject_type="user", subject_id=developer.pk, seal=b"x")]
    )
    assert codes(tasks.examine()) == {"trail_tampered", "events_in_the_future"}
    assert codes(tasks.examine_whole_trail()) == {"trail_tampered"}


# --- accounts ---


def test_who_is_missing_and_who_is_too_many_among_the_accounts_is_found(
    make_user: MakeUser, settings: Settings
) -> None:
    settings.KEYPORTAL_LOCAL = False
    assert codes(accounts.examine()) == {"no_operator", "no_scopes"}
    operator = make_user("operator@example.com", operator=True)
    Scope.objects.create(name="reports:read", description="x")
    assert codes(accounts.examine()) == {"operators_one_factor", "sample_accounts"}
    Authenticator.objects.create(user=operator, type="totp", data={})
    assert "operators_one_factor" not in codes(accounts.examine())
    User.objects.filter(pk=operator.pk).update(is_superuser=False)
    KeyPolicy.objects.bulk_create([KeyPolicy(environment="live", seal=b"x")])
    assert "rows_tampered" in codes(accounts.examine())


def test_a_suspension_of_new_credentials_is_noted() -> None:
    assert "issuing_suspended" not in codes(accounts.examine())
    call_command("newcredentials", "off", "--reason", "an incident", stdout=StringIO())
    assert "issuing_suspended" in codes(accounts.examine())


# --- services ---


def test_a_mail_server_is_tried(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.KEYPORTAL_LOCAL, settings.EMAIL_HOST, settings.EMAIL_PORT = False, "127.0.0.1", free_port()
    assert codes(mail.examine()) == {"mail_away"}
    assert codes(mail.send("me@example.com")) == {"mail_refused"}
    with mail_server(Manners.WORKING) as server:
        settings.EMAIL_PORT = server.port
        assert codes(mail.examine()) == set()
        assert server.taken == []
        assert codes(mail.send("me@example.com")) == {"mail_sent"}
        assert server.recipients() == ["me@example.com"]
    with mail_server(Manners.REFUSING) as server:
        settings.EMAIL_PORT = server.port
        assert codes(mail.send("me@example.com")) == {"mail_refused"}


def test_messages_that_go_unencrypted_to_another_host_are_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEYPORTAL_LOCAL, settings.EMAIL_PORT = False, free_port()
    monkeypatch.setattr(mail, "is_on_this_host", lambda host: False)
    assert "mail_in_clear" in codes(mail.examine())
    settings.EMAIL_USE_TLS = True
    assert "mail_in_clear" not in codes(mail.examine())


@pytest.mark.redis
def test_redis_is_asked_what_it_does_when_it_is_full(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert codes(shared_counter.examine()) == set()
    settings.CACHE_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert codes(shared_counter.examine()) == {"redis_away"}
    with redis_server() as server:
        settings.CACHE_URL = server.url
        assert codes(shared_counter.examine()) == set()
        with Redis.from_url(server.url) as client:
            client.config_set("maxmemory", "100mb")
            client.config_set("maxmemory-policy", "allkeys-lru")
        assert codes(shared_counter.examine()) == {"redis_evicts"}
        monkeypatch.setattr(shared_counter, "is_on_this_host", lambda host: False)
        monkeypatch.setattr(shared_counter, "OLDEST", 1000)
        assert codes(shared_counter.examine()) == {"redis_evicts", "redis_in_clear", "redis_open", "redis_old"}


# --- this host ---


def test_limits_folders_and_workers_of_the_host_are_looked_at(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.KEYPORTAL_METRICS_DIR = str(tmp_path / "metrics")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 1024))
    monkeypatch.setattr(host, "_clock_is_synchronized", lambda: False)
    assert codes(host.examine()) == {"few_descriptors", "clock_not_synchronized"}
    settings.KEYPORTAL_METRICS_NETWORKS = ("127.0.0.1/32",)
    assert "no_workers" in codes(host.examine())
    (tmp_path / "file").touch()
    settings.KEYPORTAL_METRICS_NETWORKS = ()
    settings.KEYPORTAL_METRICS_DIR = str(tmp_path / "file")
    assert "folder_unwritable" in codes(host.examine())
    settings.KEYPORTAL_METRICS_DIR = str(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1024))
    assert "disk_space" in codes(host.examine())


def test_workers_that_count_apart_or_have_no_room_are_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, make_key: MakeKey
) -> None:
    key, _ = make_key()
    settings.KEYPORTAL_WORKERS = 2
    assert not {"counts_apart", "little_memory"} & codes(host.examine())
    APIKey.objects.filter(pk=key.pk).update(rate_limit="5/minute")
    monkeypatch.setattr(host, "_memory", lambda: 200 * 1024**2)
    assert {"counts_apart", "little_memory"} <= codes(host.examine())
    settings.KEYPORTAL_WORKERS = 1
    assert not {"counts_apart", "little_memory"} & codes(host.examine())


def test_the_memory_of_a_container_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(host, "LIMITS_OF_MEMORY", (limit, tmp_path / "none"))
    whole = host._memory()
    for text, memory in (("max", whole), ("1048576", 1048576)):
        limit.write_text(f"{text}\n")
        assert host._memory() == memory


def test_versions_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    with time_machine.travel("2026-11-29", tick=False):
        assert codes(versions.examine()) == set()
    monkeypatch.setattr(sys, "version_info", (3, 11, 0))
    monkeypatch.setattr(ssl, "OPENSSL_VERSION_INFO", (1, 1, 1))
    monkeypatch.setattr(versions, "version", lambda name: "0" if name == "Django" else metadata.version(name))
    with time_machine.travel("2030-01-01", tick=False):
        found = list(versions.examine())
    assert codes(found) == {"packages_differ", "python_unsupported", "django_unsupported", "openssl_old"}
    assert "Django" in found[0].seen


# --- the whole ---


def test_an_examination_that_fails_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> Iterable[Finding]:
        raise RuntimeError("kp_live_planted")

    def find() -> Iterable[Finding]:
        return [versions.OPENSSL.found("It is old.")]

    fail.__module__ = "keyportal.doctor.host"
    monkeypatch.setattr(examination, "HERE", (fail, find))
    monkeypatch.setattr(examination, "WAITING", (list,))
    found = examination.examine_inside()
    assert codes(found) == {"not_examined", "openssl_old"}
    assert "planted" not in "".join(finding.seen for finding in found)
    assert "an examination failed: keyportal.doctor.host" in caplog.text


def test_the_worst_finding_decides() -> None:
    of = {level: next(kind for kind in KINDS.values() if kind.level is level).found("It is so.") for level in Level}
    assert [worst_status([of[level]]) for level in (Level.NOTE, Level.WARNING, Level.PROBLEM)] == [0, 1, 2]
    found = [of[Level.NOTE], of[Level.WARNING], of[Level.PROBLEM], of[Level.PROBLEM]]
    assert [finding.level for finding in by_weight(found)][:2] == [Level.PROBLEM, Level.PROBLEM]
    assert summary(found) == "2 problems and 1 warning."
    assert summary([of[Level.NOTE]]) == "Healthy."
    assert json.loads(as_json([of[Level.NOTE]]))["healthy"] is True
    assert json.loads(as_json(found))["healthy"] is False


def test_an_operator_examines_on_a_page(make_user: MakeUser, log_in: LogIn) -> None:
    client = log_in(make_user("op@example.com", operator=True))
    page = "/admin/keyportal/taskrun/doctor/"
    assert "Examine" in client.get(page, secure=True).content.decode()
    shown = client.post(page, secure=True).content.decode()
    assert "unreachable" in shown  # nobody answers at the tests' address
    assert "purge_overdue" in shown
    assert client.get("/admin/", secure=True).content.decode().count("Doctor") == 1


def test_one_examination_at_a_time_leaves_threads_for_pages(make_user: MakeUser, log_in: LogIn) -> None:
    client = log_in(make_user("op@example.com", operator=True))
    with page._alone:
        shown = client.post("/admin/keyportal/taskrun/doctor/", secure=True).content.decode()
    assert "An examination is running already." in shown
    assert "purge_overdue" not in shown


def test_a_service_that_says_something_for_ever_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def wait() -> Iterable[Finding]:
        over.wait()
        return []

    monkeypatch.setattr(examination, "HERE", ())
    monkeypatch.setattr(examination, "WAITING", (wait,))
    monkeypatch.setattr(examination, "SERVICE_WITHIN", 0.05)
    found = examination.examine_inside()
    over.set()
    assert codes(found) == {"not_examined"}


@pytest.mark.parametrize(("rights", "status"), [("view", 200), ("others", 403)])
def test_the_page_is_for_operators_who_may_see_task_runs(
    make_user: MakeUser, log_in: LogIn, rights: str, status: int
) -> None:
    client = log_in(with_rights(make_user, TaskRun, rights))
    assert client.get("/admin/", secure=True).status_code == 200
    assert client.post("/admin/keyportal/taskrun/doctor/", secure=True).status_code == status


def test_a_developer_has_no_such_page(developer: User, log_in: LogIn) -> None:
    assert log_in(developer).post("/admin/keyportal/taskrun/doctor/", secure=True).status_code == 403


def test_the_command_says_by_its_status_how_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", "--json")
    assert ended.value.code == 2
    printed = json.loads(capsys.readouterr().out)
    assert "no_operator" in {finding["code"] for finding in printed["findings"]}


def test_settings_that_can_not_be_read_are_findings_too(tmp_path: Path) -> None:
    bad = Portal(tmp_path, f"sqlite:///{tmp_path}/x.sqlite3", KEYPORTAL_URL="ftp://planted", KEYPORTAL_BRAND="Ä!")
    for options in ([], ["--json"]):
        ended = bad.start_command("doctor", *options)
        assert ended.returncode == 2
        assert ended.stderr == ""
        assert "planted" not in ended.stdout
        for name in ("KEYPORTAL_URL", "KEYPORTAL_BRAND"):
            assert name in ended.stdout
    assert [finding["code"] for finding in json.loads(ended.stdout)["findings"]] == ["settings_unreadable"] * 2
