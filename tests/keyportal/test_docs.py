"""The documentation tells the truth where a test can hold it to it."""

import re
import subprocess
import sys

import pytest

from keyportal.errors.problems import CODES
from keyportal.options import OPTIONS
from tests.portal import ROOT
from tests.waiting import DEADLINE

pytestmark = pytest.mark.once


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
    folders = ("accounts", "apikeys", "credentials", "gateway", "keyportal", "tokens", "vault")
    reading = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\bos\.environ\b|\bgetenv|\bimport environb?$", path.read_text(), re.MULTILINE)
    }
    # django-environ parses; the start names the settings module and forgets the secrets.
    parsing = {"keyportal/options/addresses.py", "keyportal/options/reading.py"}
    assert reading == {"keyportal/settings.py", "keyportal/application.py"} | parsing


def test_every_dependency_says_why_it_is_there() -> None:
    reasons = (ROOT / "docs/dependencies.md").read_text().lower()
    for file in ("requirements.txt", "requirements-dev.txt"):
        chosen = (ROOT / file).read_text().partition("# Pinned because")[0]
        for name in re.findall(r"^([A-Za-z][\w-]+)", chosen, re.MULTILINE):
            assert name.lower() in reasons


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


@pytest.mark.parametrize("page", ["tests.conformance.report", "tests.findings_page"])
def test_the_pages_of_marks_are_what_the_tests_say(page: str) -> None:
    command = [sys.executable, "-m", page, "--check"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert (checked.returncode, checked.stderr) == (0, "")
