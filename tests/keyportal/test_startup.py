"""What a start and `check --deploy` print: no false warning, each once, and each says what is seen and what to do."""

import ast
import gc
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.checks import run_checks
from django.test import Client
from gunicorn.config import Config
from pytest_django import Settings

from keyportal.http_server.worker import LISTENING, Logger
from tests.databases import portal_database
from tests.portal import ROOT, Portal
from tests.portal_configuration import shared_folder

pytestmark = [pytest.mark.once, pytest.mark.finding("H27")]

CHECKING = ("check", "--deploy", "--database", "default")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Portal]:
    """A portal in production, with everything that one needs, as docs/configuration.md has it."""
    with portal_database(tmp_path) as database_url:
        portal = Portal(tmp_path, database_url)
        portal.environment |= {
            "KEYPORTAL_LOCAL": "false",
            "KEYPORTAL_URL": f"https://127.0.0.1:{portal.port}",
            "KEYPORTAL_TRUSTED_PROXIES": "192.0.2.1",
            "EMAIL_URL": "smtp://localhost:25",
        }
        if not (shared_folder() / "static").exists():
            portal.command("collectstatic", "--noinput", "--verbosity=0")
        yield portal
        portal.stop()


def test_a_complete_production_has_nothing_to_warn_of(site: Portal) -> None:
    checked = site.command(*CHECKING)
    assert "no issues" in checked.stdout
    assert checked.stderr == ""
    site.start(workers=1)
    assert "keyportal warning" not in site.log.read_text()
    assert f"Listening at: http://127.0.0.1:{site.port} (" in site.log.read_text()


def test_the_log_names_every_address_that_the_workers_listen_at(caplog: pytest.LogCaptureFixture) -> None:
    config = Config()
    config.set("bind", ["127.0.0.1:8000", "[::1]:8000", "fd://3"])
    config.set("certfile", "certificate.pem")
    with caplog.at_level("INFO"):
        Logger(config).info(LISTENING, "", 7)
    assert caplog.messages == ["Listening at: https://127.0.0.1:8000,https://[::1]:8000,fd://3 (7)"]


@pytest.mark.parametrize(
    ("removed", "missing"),
    [
        ("keyportal.http.browser_only.XFrameOptionsMiddleware", "X-Frame-Options: DENY"),
        ("keyportal.http.browser_only.CsrfViewMiddleware", "the CSRF check of forms"),
    ],
)
def test_middleware_that_is_not_there_is_an_error(settings: Settings, removed: str, missing: str) -> None:
    """Django's own W002 and W003 are silenced: they would not find it under its name."""
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != removed]
    (found,) = (message for message in run_checks(tags=["keyportal"]) if message.id == "keyportal.E041")
    assert missing in found.msg


@pytest.mark.parametrize(("name", "value"), [("X_FRAME_OPTIONS", "SAMEORIGIN"), ("CSRF_COOKIE_SECURE", False)])
def test_what_django_asks_of_that_middleware_is_asked_too(settings: Settings, name: str, value: object) -> None:
    setattr(settings, name, value)
    assert "keyportal.E041" in {message.id for message in run_checks(tags=["keyportal"])}


@pytest.mark.django_db
def test_pages_have_what_the_silenced_checks_ask_for() -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.get("/accounts/login/", secure=True)["X-Frame-Options"] == "DENY"
    answer = client.post("/accounts/login/", {"login": "dev@example.com", "password": "x"}, secure=True)
    assert answer.status_code == 403


def test_the_server_tells_every_warning_once_for_all_its_workers(site: Portal) -> None:
    for name in ("KEYPORTAL_TRUSTED_PROXIES", "EMAIL_URL"):
        del site.environment[name]
    site.environment |= {"KEYPORTAL_RATE_LIMIT": "10/minute", "KEYPORTAL_WORKERS": "2", "KEYPORTAL_WORKER": "2"}
    site.start(workers=2)
    warnings = [line.split()[2] for line in site.log.read_text().splitlines() if line.startswith("keyportal warning: ")]
    assert sorted(warnings) == ["keyportal.W001", "keyportal.W020", "keyportal.W021", "keyportal.W040"]
    assert "every page then redirects to itself forever" in site.log.read_text()


def test_without_a_trusted_proxy_a_page_redirects_to_itself_as_the_warning_says(site: Portal) -> None:
    del site.environment["KEYPORTAL_TRUSTED_PROXIES"]
    page = f"{site.environment['KEYPORTAL_URL']}/accounts/login/"
    site.start(workers=1)
    answer = site.get("/accounts/login/", **{"X-Forwarded-Proto": "https"})
    assert (answer.status, answer.headers["location"]) == (301, page)
    site.stop()
    site.environment["KEYPORTAL_TRUSTED_PROXIES"] = "127.0.0.1"
    site.start(workers=1)
    assert site.get("/accounts/login/", **{"X-Forwarded-Proto": "https"}).status == 200


def test_a_server_that_ends_tls_itself_needs_no_proxy(site: Portal) -> None:
    del site.environment["KEYPORTAL_TRUSTED_PROXIES"]
    assert "keyportal.W021" in site.command(*CHECKING).stderr
    site.environment |= {"KEYPORTAL_TLS_CERTIFICATE": "certificate.pem", "KEYPORTAL_TLS_KEY": "key.pem"}
    assert "no issues" in site.command(*CHECKING).stdout


def test_every_message_of_a_check_says_what_to_do() -> None:
    bare = []
    for path in ROOT.glob("*/checks.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
                "Error",
                "Warning",
                "Caution",
            ):
                given = {keyword.arg for keyword in node.keywords}
                bare += [] if {"hint", "id"} <= given else [f"{path}:{node.lineno}"]
    assert bare == []


def test_workers_collect_garbage_but_not_what_was_imported() -> None:
    """The configuration of gunicorn stops the collector while the portal is imported."""
    try:
        gunicorn = import_module("keyportal.gunicorn")
        gunicorn.when_ready(SimpleNamespace(cfg=Config()))
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.enable()
