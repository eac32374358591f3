"""What developers install knows nothing of the portal, and the library needs nothing but Python."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.portal import ROOT

pytestmark = pytest.mark.once
CLIENTS = ROOT / "clients"
PACKAGE = "keyportal_client"
OF_THE_COMMAND = {"click", "keyring"}


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, also those that it names to `import_module`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, path
            yield f"{node.module}.{node.names[0].name}" if node.module == PACKAGE else node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            assert isinstance(node.args[0], ast.Constant), path
            yield str(node.args[0].value)


@pytest.mark.parametrize("path", sorted(CLIENTS.rglob("*.py")), ids=lambda path: path.stem)
def test_a_client_imports_nothing_of_the_portal(path: Path) -> None:
    is_of_the_command = "cli" in path.parts
    allowed = {PACKAGE, *sys.stdlib_module_names, *(OF_THE_COMMAND if is_of_the_command else ())}
    modules = set(imported(path))
    assert {module.split(".")[0] for module in modules} <= allowed
    assert is_of_the_command or not any(module.startswith(f"{PACKAGE}.cli") for module in modules)


def test_there_are_clients_to_look_at() -> None:
    assert len(list(CLIENTS.rglob("*.py"))) > 20
