"""The documentation tells the truth where a test can hold it to it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings

from integrity.sealed import SealedRow
from keyportal.errors.codes import CODES
from keyportal.options import OPTIONS
from tests.portal import ROOT
from tests.waiting import DEADLINE

pytestmark = pytest.mark.once

PAGES = sorted(
    (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "examples/README.md",
        ROOT / "benchmarks/results.md",
        *ROOT.glob("clients/*/README.md"),
    )
)
NOT_OURS = {"var", "mutants", "__pycache__", "node_modules"}
"""Folders of the project that hold no code of it; hidden ones neither."""
GONE = {"CHANGELOG.md"}
"""Pages that may name what is no more."""
FILE = re.compile(r"(?<![\w./-])((?:[\w-]+/)*[\w-]+\.(?:py|html|md|js|css|toml|conf|cfg|lua|caddy|png))\b")
FOLDER = re.compile(r"`((?:[a-z_]+/)+)`")
MADE = {"var/"}
"""Folders that only a running portal has."""
NAME_AND_FILE = re.compile(r"`(\w+)`\s+\(`([\w/]+\.py)`|`([\w/]+\.py)`\s+`(\w+)`")
SETTING = re.compile(r"\bKEYPORTAL_[A-Z_]*[A-Z](?![A-Z_…])")


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


@cache
def files() -> frozenset[str]:
    """Return every file and folder of the project, and each end of its path, by which pages name it."""

    def found() -> Iterator[str]:
        for folder, folders, names in os.walk(ROOT):
            folders[:] = [name for name in folders if not name.startswith(".") and name not in NOT_OURS]
            for path in (*names, *(f"{name}/" for name in folders)):
                parts = (Path(folder).relative_to(ROOT) / path).parts
                end = "/" if path.endswith("/") else ""
                yield from ("/".join(parts[start:]) + end for start in range(len(parts)))

    return frozenset(found())


def test_every_code_is_documented_with_its_status() -> None:
    text = (ROOT / "docs/errors.md").read_text()
    documented = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", text, re.MULTILINE))
    assert documented == {code: str(reason.status) for code, reason in CODES.items()}


def test_every_system_check_is_documented() -> None:
    configuration = (ROOT / "docs/configuration.md").read_text()
    sources = "".join(path.read_text() for path in ROOT.glob("*/checks.py"))
    checks = re.findall(r'id="keyportal\.([EW]\d{3})"', sources)
    for check in {*checks, *(option.id for option in OPTIONS)}:
        assert re.search(rf"^\|.*\b{check}\b", configuration, re.MULTILINE), check


@pytest.mark.finding("H12")
def test_the_tables_of_settings_are_what_the_code_says() -> None:
    command = [sys.executable, "-m", "tests.configuration_page", "--check"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.finding("H12")
def test_nothing_but_the_table_reads_settings_from_the_environment() -> None:
    """What reads the environment past it would neither trim, nor check, nor document what it reads."""
    folders = ("accounts", "apikeys", "audit", "credentials", "gateway", "integrity", "keyportal", "tokens", "vault")
    reading = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\bos\.environ\b|\bgetenv|\bimport environb?$", path.read_text(), re.MULTILINE)
    }
    # django-environ parses; the start names the settings module and forgets the secrets.
    parsing = {"keyportal/options/addresses.py", "keyportal/options/reading.py"}
    shown = {"apikeys/pages/snippets.py"}  # code that readers copy
    assert reading == {"keyportal/settings.py", "keyportal/application.py"} | parsing | shown


def test_every_dependency_has_a_line_that_says_why_it_is_there() -> None:
    page = (ROOT / "docs/dependencies.md").read_text().partition("## Private seams")[0]
    explained = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", page, re.MULTILINE)
    named = {name for cell in explained for name in re.split(r"[, ()`]+", cell.lower())}
    for file in ("requirements.txt", "requirements-tracing.txt", "requirements-dev.txt"):
        wanted = re.findall(r"^([A-Za-z][\w-]+)", (ROOT / file).read_text(), re.MULTILINE)
        assert {name.lower() for name in wanted} - named == set()


@pytest.mark.parametrize("document", PAGES, ids=name_of)
def test_every_file_that_a_page_names_is_there(document: Path) -> None:
    text = document.read_text()
    named = set(FILE.findall(text)) | set(FOLDER.findall(text)) - MADE
    assert name_of(document) in GONE or named - files() == set()


@pytest.mark.parametrize("document", PAGES, ids=name_of)
def test_every_name_that_a_page_looks_for_in_a_file_is_in_it(document: Path) -> None:
    for before, file, other, after in NAME_AND_FILE.findall(document.read_text()):
        path, name = ROOT / (file or other), before or after
        if path.exists():  # else the page names a file by the end of its path
            assert re.search(rf"\b{name}\b", path.read_text()), (name, path)


def test_every_test_that_a_page_names_is_there() -> None:
    tests = list((ROOT / "tests").rglob("test_*.py"))
    known = {path.stem for path in tests}
    for path in tests:
        known.update(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    for document in PAGES:
        text = document.read_text()
        known_here = known | set(re.findall(r"^def (test_\w+)", text, re.MULTILINE))  # a test that a page writes itself
        assert name_of(document) in GONE or set(re.findall(r"\btest_\w+", text)) - known_here == set()


def test_every_setting_that_a_page_names_is_one() -> None:
    names = {name for option in OPTIONS for name in (option.name, f"{option.name}_FILE")}
    for file in (path for path in (ROOT / "deploy").rglob("*") if path.is_file()):
        names.update(SETTING.findall(file.read_text()))  # addresses that a gateway's configuration takes
    for file in (ROOT / "clients").rglob("*.py"):
        names.update(SETTING.findall(file.read_text()))  # what the command of developers reads
    for document in PAGES:
        unknown = set(SETTING.findall(document.read_text())) - names
        assert name_of(document) in GONE or {name for name in unknown if not hasattr(settings, name)} == set(), document


def test_the_columns_of_every_row_seal_are_documented() -> None:
    page = (ROOT / "docs/secret-format.md").read_text().partition("| row | purpose, columns |")[2]
    documented = {
        purpose: re.findall(r"`(\w+)`", rest) for purpose, rest in re.findall(r"\| `([\w ]+)`: (.*) \|", page)
    }
    sealed = [model for model in apps.get_models() if issubclass(model, SealedRow)]
    assert documented == {model.PURPOSE: list(model.SEALED) for model in sealed}


def test_no_template_holds_inline_code_and_no_script_is_long() -> None:
    for template in (ROOT / "templates").rglob("*.html"):
        text = template.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>|\sstyle=|\son[a-z]+=", text), template
        assert text.count("\n") < 120, template
    for script in (ROOT / "static/js").glob("*.js"):
        assert len(script.read_text().splitlines()) <= 60, script


def test_one_template_alone_prints_a_secret() -> None:
    printing = [
        path.name for path in (ROOT / "templates").rglob("*.*") if re.search(r"{{ *secret *}}", path.read_text())
    ]
    assert printing == ["_secret.html"]


@pytest.mark.parametrize("module", ["tests.conformance.report", "tests.findings_page"])
def test_the_pages_of_marks_are_what_the_tests_say(module: str) -> None:
    command = [sys.executable, "-m", module, "--check"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert (checked.returncode, checked.stderr) == (0, "")
