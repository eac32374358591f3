"""What the code uses of libraries beyond their documentation: the table in docs/dependencies.md, and what holds it.

Most seams break a test of what they are for. Those that would break none have one here.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import Mock

import pytest
from allauth.account.views import INTERNAL_RESET_SESSION_KEY
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.core.mail import EmailMessage, get_connection
from django.db import connections
from django.db.models import CharField
from django.http import HttpResponse
from django.template.response import TemplateResponse
from django.test import Client, RequestFactory
from django.utils.log import log_response
from pytest_django import DjangoDbBlocker
from rest_framework.views import exception_handler

from accounts.sessions import SECRETS
from credentials.permissions import CredentialRefused
from credentials.refusals import Refusal
from credentials.scopes.models import Scope
from credentials.verdict_query.postgresql.base import Connection, DatabaseWrapper
from credentials.verdict_query.prepared import PreparedQuery, value_of
from keyportal.admin_site import PAGES
from keyportal.local import outbox
from keyportal.logs import RequestFilter
from tests.portal import ROOT
from tests.with_postgres import Cluster

ROOMS: Final = ("accounts", "apikeys", "audit", "credentials", "gateway", "integrity", "keyportal", "tokens", "vault")
DOCUMENTED: Final = {"_meta", "_default_manager", "_state", "_db", "_replace", "_asdict", "_value_", "_srcfile"}
"""Names of libraries that look private and are not."""
CODE: Final = re.compile(r"`([^`]+)`")


class Seam(NamedTuple):
    """A row of the table."""

    library: str
    what: str
    where: str
    why: str
    test: str

    @property
    def files(self) -> list[Path]:
        return [ROOT / file for file in CODE.findall(self.where)]


@cache
def seams() -> list[Seam]:
    table = (ROOT / "docs/dependencies.md").read_text().partition("## Private seams")[2]
    rows = re.findall(r"^\| (.+) \|$", table, re.MULTILINE)
    return [Seam(*(cell.strip() for cell in row.split(" | "))) for row in rows[2:]]


def name_of(seam: Seam) -> str:
    return f"{seam.library}: {seam.what[:40]}"


@pytest.mark.once
@pytest.mark.parametrize("seam", seams(), ids=name_of)
def test_a_seam_is_where_the_table_says(seam: Seam) -> None:
    names = {name for code in CODE.findall(seam.what) for name in re.findall(r"[A-Za-z_-]{3,}", code)}
    for file in seam.files:
        text = file.read_text()
        assert any(name in text for name in names), file


@pytest.mark.once
@pytest.mark.parametrize("seam", seams(), ids=name_of)
def test_the_test_of_a_seam_is_there(seam: Seam) -> None:
    for named in seam.test.split("; "):
        file, *tests = CODE.findall(named)
        functions = re.findall(r"^def (test_\w+)", (ROOT / file).read_text(), re.MULTILINE)
        assert functions
        assert set(tests) <= set(functions), file


@pytest.mark.once
def test_the_table_is_of_the_versions_that_are_pinned() -> None:
    requirements = "".join((ROOT / name).read_text() for name in ("requirements.txt", "requirements-dev.txt"))
    pinned = dict(re.findall(r"^([A-Za-z][\w-]+)(?:\[\w+\])?==(.+)$", requirements, re.MULTILINE))
    libraries = dict(seam.library.rsplit(" ", 1) for seam in seams())
    told = {name: version for name, version in libraries.items() if name in pinned}
    assert told == {name: pinned[name] for name in told}
    assert libraries.keys() - pinned.keys() == {"Python", "SQLite", "PostgreSQL", "PgBouncer"}


@pytest.mark.sweep
@pytest.mark.once
def test_what_is_private_to_a_library_is_in_the_table() -> None:
    used = {f"{file}: {name}" for file, name in _used_of_libraries()}
    told = {f"{file.relative_to(ROOT)}: {name}" for seam in seams() for file in seam.files for name in _names(seam)}
    assert used - told == set()


def _names(seam: Seam) -> set[str]:
    return {name for code in CODE.findall(seam.what) for name in re.findall(r"[\w.]+", code)} | set(
        re.findall(r"\b_\w+", seam.what)
    )


def _used_of_libraries() -> Iterator[tuple[str, str]]:
    """Yield private names of libraries that the code reads or overrides, and modules that they keep for themselves."""
    trees = {
        str(path.relative_to(ROOT)): ast.parse(path.read_text())
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if "migrations" not in path.parts
    }
    ours = set(_defined(trees))
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in ours:
                yield file, node.attr
            elif isinstance(node, ast.FunctionDef) and _is_private(node.name) and _overrides(node):
                yield file, node.name
            elif isinstance(node, ast.ImportFrom) and ".internal" in (node.module or ""):
                yield file, "allauth.account.internal.flows"


def _defined(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Yield the private names that the code itself defines: functions, attributes, variables."""
    for node in (node for tree in trees.values() for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _overrides(node):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED


def _overrides(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(decorator) == "override" for decorator in node.decorator_list)


@pytest.mark.once
def test_what_overrides_a_method_has_one_to_override() -> None:
    """`mypy` asks the stubs, which may be of another release than the library."""
    overriding = [(kind, name) for kind in _classes() for name, value in vars(kind).items() if _is_marked(value)]
    in_vain = [f"{kind.__name__}.{name}" for kind, name in overriding if not _is_inherited(kind, name)]
    assert overriding
    assert in_vain == []


def _classes() -> Iterator[type]:
    """Yield the classes of each module that overrides something."""
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        if "@override" in path.read_text():
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            contents = vars(import_module(module)).values()
            yield from (kind for kind in contents if isinstance(kind, type) and kind.__module__ == module)


def _is_marked(value: object) -> bool:
    return any(hasattr(each, "__override__") for each in (value, getattr(value, "func", None)))


def _is_inherited(kind: type, name: str) -> bool:
    return any(name in vars(base) for base in kind.__mro__[1:])


@pytest.mark.once
@pytest.mark.postgresql
def test_django_makes_its_connections_with_our_class(cluster: Cluster, django_db_blocker: DjangoDbBlocker) -> None:
    place = {"NAME": "keyportal", "HOST": "127.0.0.1", "PORT": cluster.port, "USER": "keyportal", "OPTIONS": {}}
    own = DatabaseWrapper({**connections["default"].settings_dict, **place, "PASSWORD": cluster.password}, alias="own")
    with django_db_blocker.unblock():
        own.ensure_connection()
        made = own.connection
        own.close()
    assert isinstance(made, Connection)


@pytest.mark.django_db
def test_an_answer_spares_djangos_health_check(monkeypatch: pytest.MonkeyPatch) -> None:
    query: PreparedQuery[Any] = PreparedQuery(
        lambda names: Scope.objects.filter(name__in=names), CharField(), dict, name=value_of("name")
    )
    connection, checked = connections["default"], Mock(return_value=True)
    monkeypatch.setattr(connection, "is_usable", checked)
    monkeypatch.setattr(connection, "health_check_enabled", True)
    monkeypatch.setattr(connection, "health_check_done", False)
    query.fetch("a")
    connection.close_if_health_check_failed()
    checked.assert_not_called()


def test_the_admins_pages_that_stay_have_the_names_that_we_know() -> None:
    names = {getattr(url, "name", None) for url in AdminSite.get_urls(admin.site)}
    assert names >= PAGES


def test_rest_frameworks_own_handler_sends_our_challenge() -> None:
    """For a view of a project that has not made the portal's handler its own."""
    refusal = Refusal(code="invalid_token")
    response = exception_handler(CredentialRefused(refusal), {})
    assert response is not None
    assert (response.status_code, response["WWW-Authenticate"]) == (401, refusal.challenge())


def test_the_secrets_of_a_session_have_the_names_that_we_seal() -> None:
    assert set(SECRETS) == {SECRET_SESSION_KEY, INTERNAL_RESET_SESSION_KEY}


def test_the_outbox_tells_messages_apart_that_django_writes_into_one_file(tmp_path: Path, settings: Any) -> None:
    settings.EMAIL_FILE_PATH = str(tmp_path)
    texts = ["The first message.", "The second."]
    with get_connection("django.core.mail.backends.filebased.EmailBackend", file_path=str(tmp_path)) as opened:
        opened.send_messages([EmailMessage("a subject", text, to=["dev@example.com"]) for text in texts])
    assert len(list(tmp_path.iterdir())) == 1
    shown = outbox.messages(RequestFactory().get("/outbox/"))
    assert isinstance(shown, TemplateResponse)
    assert sorted(sent.text.strip() for sent in (shown.context_data or {})["sent"]) == texts


@pytest.mark.parametrize("path", ["/pasted/", "/pasted/\u00fc/", "/pasted/a\\b\n/"], ids=ascii)
def test_the_log_has_no_path_that_django_tells_of(caplog: pytest.LogCaptureFixture, path: str) -> None:
    request = RequestFactory().get("/")
    request.path = path
    with caplog.filtering(RequestFilter()):
        log_response("%s: %s", "Internal Server Error", path, response=HttpResponse(status=500), request=request)
    assert caplog.messages == ["Internal Server Error: (no route)"]


@pytest.mark.django_db
def test_a_request_that_sends_data_is_not_led_to_the_slash(client: Client) -> None:
    assert client.get("/accounts/login", secure=True).status_code == 301
    assert client.post("/accounts/login", {"login": "dev@example.com"}, secure=True).status_code == 404
