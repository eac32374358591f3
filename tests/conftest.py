"""What every test may use: people, keys, a client that is logged in, and a started portal."""

import gc
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck
from pytest_django import DjangoDbBlocker

from accounts import pending
from accounts.models import User
from accounts.sending import send_due
from accounts.services import create_user
from accounts.sessions import STARTED, SessionStore
from apikeys import services
from apikeys.models import APIKey
from audit.origin import Origin
from credentials.scopes.models import Scope
from credentials.verified_cache.freshness import freshness
from integrity.key_check import confirm_rings_once, index_key_to_write, sealing_ring_to_write
from keyportal.databases import SQLITE
from tests.databases import portal_database
from tests.oauth_client import OAuthClient
from tests.portal import Portal
from tests.quick import is_quick
from tests.with_postgres import Cluster, postgres_cluster

PASSWORD = "correct horse battery staple"
ORIGIN = Origin(actor="test", address="192.0.2.1", peer="192.0.2.1", request_id="request-of-the-test")

# No example has a deadline: a busy machine is slow and right.
hypothesis.settings.register_profile("keyportal", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.register_profile(
    "mutants", hypothesis.settings.get_profile("keyportal"), max_examples=25, derandomize=True
)
hypothesis.settings.load_profile("keyportal")

LONG = {
    "test_planted_secrets",
    "test_listener_cut_off",
    "test_database_down",
    "test_error_pages",
    "test_every_page",
    "test_make_run",
    "test_operators_pages",
    "test_operators_rights",
    "test_outage_lines",
    "test_password_tokens",
    "test_poolers",
    "test_published_keys",
    "test_races",
    "test_rate_limits",
    "test_restarts",
    "test_start",
    "test_static_files",
    "test_switch",
    "test_the_main_walk",
    "test_every_metric",
    "test_every_route",
    "test_usage",
    "test_way_back",
}
"""Files that take ten seconds and more."""

RANDOM = re.compile(r"(?i:kp_(?:live|test|refresh)|key|sec|usr|fam|tok|ref)_(?:…|\.\.\.)?[0-9A-Za-z]{4,}|^eyJ")
"""What `vault.secret_format` makes anew each time, and signed tokens."""

LogIn = Callable[..., Client]
MakeUser = Callable[..., User]
MakeKey = Callable[..., tuple[APIKey, str]]


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name a test by its argument where that is random: each process of a run must find the same names."""
    return argname if isinstance(val, str) and RANDOM.search(val) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what `make quick` runs, where the mark is asked for: looking takes a while."""
    if "quick" in item.config.getoption("markexpr") and isinstance(item, pytest.Function) and is_quick(item):
        item.add_marker(pytest.mark.quick)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for the other database, and what this machine lacks, as `make test` has announced.

    KEYPORTAL_TEST_WITHOUT names the marks. Drills are for `make drill`, which asks for them by their mark.
    What takes long comes first, so that no core is idle at the end. What drives Chromium comes last, because Playwright
    leaves an event loop running in the thread of the tests, and Django refuses to speak to a database there.
    """
    without = set(filter(None, os.environ.get("KEYPORTAL_TEST_WITHOUT", "").split(",")))
    if settings.DATABASES["default"]["ENGINE"] == SQLITE:
        without.add("second")
    if "drill" not in config.getoption("markexpr"):
        without.add("drill")
    left_out = [item for item in items if without & {mark.name for mark in item.iter_markers()}]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    items[:] = sorted(
        (item for item in items if item not in left_out),
        key=lambda item: (item.get_closest_marker("browser") is not None, item.path.stem not in LONG),
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Stop the garbage collector while tests are collected: there are thousands, and none becomes garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Start it again, and leave the tests themselves out for good."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the folder of the run away, in a process of xdist's, which ends without its exit functions.

    Others may run a second time, as in mutation testing; theirs goes at their end.
    """
    if hasattr(config, "workerinput"):
        shutil.rmtree(settings.RUN_DIR, ignore_errors=True)


@pytest.fixture(autouse=True)
def sent_at_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have messages sent when they are committed, by the thread of the test: no worker runs here that would."""
    postman = Postman()
    monkeypatch.setattr(pending, "message_committed", lambda: postman)


class Postman:
    """What is set when a message was committed."""

    def set(self) -> None:
        """Send what is due."""
        while send_due():
            continue


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Make the database, and meet it as the start of a server does: queries are counted without those of the first."""
    with django_db_blocker.unblock():
        sealing_ring_to_write()
        index_key_to_write()
        freshness().confirm_rings()
        confirm_rings_once()


@pytest.fixture
def make_user(db: None) -> MakeUser:
    """Make confirmed developers, each with an address of their own."""

    def make(email: str | None = None, *, confirmed: bool = True, password: str = PASSWORD, **fields: Any) -> User:
        address = email or f"dev{User.objects.count()}@example.com"
        return create_user(email=address, password=password, confirmed=confirmed, origin=ORIGIN, **fields)

    return make


@pytest.fixture
def developer(make_user: MakeUser) -> User:
    """A confirmed developer."""
    return make_user("dev@example.com")


@pytest.fixture
def operator(make_user: MakeUser) -> User:
    """An operator with every right."""
    return make_user("operator@example.com", operator=True)


@pytest.fixture
def scopes(db: None) -> list[Scope]:
    """A catalogue of two scopes that developers take themselves and one that operators grant."""
    rows = [("reports:read", False), ("reports:write", False), ("secrets:all", True)]
    return [Scope.objects.create(name=name, description=f"May {name}", restricted=kept) for name, kept in rows]


@pytest.fixture
def make_key(developer: User) -> MakeKey:
    """Make keys of the developer, through the verb."""

    def make(**fields: Any) -> tuple[APIKey, str]:
        chosen = {"owner": developer, "name": "billing server", "environment": "live", "origin": ORIGIN, **fields}
        ended = chosen.get("expires_at")
        if ended and ended <= timezone.now():  # the verb makes none that is over
            key, secret = services.create_key(**{**chosen, "expires_at": None})
            key.expires_at = ended
            key.save(update_fields=["expires_at"])
            return key, secret
        return services.create_key(**chosen)

    return make


@pytest.fixture
def log_in(client: Client) -> LogIn:
    """Log the client in, freshly, without the log-in page (which has tests of its own)."""

    def enter(user: User, *, ago: float = 0) -> Client:
        request = HttpRequest()
        request.session = session = SessionStore()
        login(request, user, settings.AUTHENTICATION_BACKENDS[0])
        session["account_authentication_methods"] = [{"method": "password", "at": time.time() - ago}]
        session["account_authentication_methods_user"] = user.pk
        session[STARTED] = time.time() - ago
        session.save()
        client.cookies[settings.SESSION_COOKIE_NAME] = session.token or ""
        return client

    return enter


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A started portal in local mode: gunicorn with two workers, on the database kind of this run."""
    folder: Path = tmp_path_factory.mktemp("portal")
    with portal_database(folder) as database_url, Portal(folder, database_url).running() as started:
        yield started


@pytest.fixture
def oauth_client(portal: Portal) -> OAuthClient:
    """An OAuth client of the started portal."""
    return OAuthClient(portal)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of the file's own, that its tests may change, stop and start."""
    with postgres_cluster() as started:
        yield started
