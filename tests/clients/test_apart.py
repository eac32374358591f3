"""What others install knows nothing of the portal, and each part of it needs what its extra installs, and no more."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.portal import ROOT

pytestmark = pytest.mark.once
CLIENTS = ROOT / "clients"
PACKAGE = "keyportal_client"
PYTHON = ROOT / "clients/python"
EVERYWHERE = {"httpx"}
LIBRARIES = {
    "cli": {"click", "keyring"},
    "django.py": {"django", "asgiref"},
    "drf.py": {"django", "rest_framework"},
    "fastapi.py": {"fastapi"},
    "flask.py": {"flask"},
    "starlette.py": {"starlette"},
    "calling/requests_adapter.py": {"requests", "urllib3"},
    "testing/plugin.py": {"pytest"},
    "testing/signing.py": {"jwt", "cryptography"},
    "verifying/jws.py": {"jwt"},
}
"""What a part of the package may import beside that and the standard library."""
DISTRIBUTIONS = {"jwt": "pyjwt"}
"""How packages are called that are not called as they are imported."""


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, also those that it names to `import_module`, but not those for types."""
    tree = ast.parse(path.read_text())
    for_types = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    left_out = {inner for node in for_types for inner in ast.walk(node)}
    for node in (each for each in ast.walk(tree) if each not in left_out):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, path
            yield f"{node.module}.{node.names[0].name}" if node.module == PACKAGE else node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from imported_by_name(node.args[0], path)


def imported_by_name(module: ast.expr, path: Path) -> Iterator[str]:
    if ast.unparse(module) == "_PLACES[name]":
        package = import_module(".".join(path.parent.relative_to(PYTHON).parts))
        yield from package._PLACES.values()
    else:
        assert isinstance(module, ast.Constant), path
        yield str(module.value)


def libraries_of(path: Path) -> set[str]:
    """Return what a file may import beside the standard library, for the sake of its part."""
    place = path.relative_to(PYTHON / PACKAGE).as_posix() if path.is_relative_to(PYTHON) else ""
    parts = [name for name in LIBRARIES if place == name or place.startswith(f"{name}/")]
    return LIBRARIES[max(parts, key=len)] if parts else set()


@pytest.mark.parametrize("path", sorted(CLIENTS.rglob("*.py")), ids=lambda path: path.stem)
def test_a_client_imports_nothing_of_the_portal(path: Path) -> None:
    allowed = {PACKAGE, *sys.stdlib_module_names, *EVERYWHERE, *libraries_of(path)}
    modules = set(imported(path))
    assert {module.split(".")[0] for module in modules} <= allowed
    assert "cli" in path.parts or not any(module.startswith(f"{PACKAGE}.cli") for module in modules)


def test_there_are_clients_to_look_at() -> None:
    assert len(list(CLIENTS.rglob("*.py"))) > 20


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """What pip reads of the package."""
    described: dict[str, Any] = tomllib.loads((PYTHON / "pyproject.toml").read_text())["project"]
    return described


def names(requirements: list[str]) -> set[str]:
    return {Requirement(text).name.lower() for text in requirements}


def test_the_package_brings_what_it_imports(project: dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    assert names(project["dependencies"]) == EVERYWHERE
    assert names(extras["cli"]) == LIBRARIES["cli"]
    assert names(extras["requests"]) == {"requests"}
    assert names(extras["tokens"]) == {DISTRIBUTIONS[name] for name in LIBRARIES["verifying/jws.py"]} | {"cryptography"}
    assert extras.keys() == {"cli", "tokens", "drf", "django", "fastapi", "flask", "requests", "starlette"}


def test_what_the_tests_run_with_is_what_the_package_allows(project: dict[str, Any]) -> None:
    for text in (*project["dependencies"], *chain(*project["optional-dependencies"].values())):
        requirement = Requirement(text)
        assert requirement.specifier.contains(version(requirement.name)), text


def test_the_package_is_for_every_python_that_its_types_are_checked_on(project: dict[str, Any]) -> None:
    assert project["requires-python"] == ">=3.10"
    own = tomllib.loads((PYTHON / "pyproject.toml").read_text())["tool"]["mypy"]
    assert own == {"strict": True, "python_version": "3.10"}
    assert "mypy --config-file clients/python/pyproject.toml" in (ROOT / "Makefile").read_text()
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    assert rules["per-file-target-version"] == {"clients/python/**": "py310"}
