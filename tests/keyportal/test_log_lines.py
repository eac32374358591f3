"""docs/operations.md has every line that warns of something, and no other; and every reason in plain words."""

import ast
import re
from collections.abc import Iterator

import pytest

from keyportal.errors import plain_reasons
from tests.portal import ROOT

pytestmark = [pytest.mark.once, pytest.mark.finding("H50")]

ROOMS = ("keyportal", "gateway", "tokens", "apikeys", "credentials", "accounts", "audit", "integrity", "vault")
LEVELS = ("warning", "error", "exception", "critical")
PAGE = (ROOT / "docs/operations.md").read_text()


def calls() -> Iterator[ast.Call]:
    """Yield every call that logs a warning or an error."""
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                    logger = ast.unparse(node.func.value).split(".")[-1]
                    if logger in ("logger", "log", "error_log"):
                        yield node


def line_of(call: ast.Call) -> str:
    """Return the line that a call logs, with … for what differs. Behind that of an exception comes its reason.

    A line that is put together beforehand can hold anything, and can't be searched for.
    """
    assert isinstance(call.args[0], ast.Constant), f"not a constant: {ast.unparse(call)}"
    text = re.sub(r"%[sd]", "…", str(call.args[0].value))
    assert isinstance(call.func, ast.Attribute)
    with_reason = call.func.attr == "exception" or any(one.arg == "exc_info" for one in call.keywords)
    return f"{text}: …" if with_reason and not text.endswith(": …") else text


def documented(section: str) -> list[str]:
    """Return the first cells of a section's tables."""
    text = PAGE.partition(f"\n{section}\n")[2]
    text = re.split(rf"\n#{{1,{section.count('#')}}} ", text)[0]
    rows = re.findall(r"^\| (.+?) \| .+ \| .+ \|$", text, re.MULTILINE)
    return [row for row in rows if row not in ("line", "words")]


def test_every_line_is_documented_and_no_other() -> None:
    lines = {line_of(call) for call in calls()}
    lines_on_page = [row.strip("`") for row in documented("## Log lines") if row.startswith("`")]
    assert len(lines) > 50
    assert set(lines_on_page) == lines
    assert len(set(lines_on_page)) == len(lines_on_page)


def test_every_reason_in_words_is_documented() -> None:
    words = {*plain_reasons.BY_SQLSTATE.values(), *(words for _, words in plain_reasons.BY_TEXT)}
    rare = {
        "there is no such schema",
        "a column is missing: run manage.py migrate",
        "it has no memory left",
    }  # they say what to do, or all that there is to say
    assert words - set(documented("### Reasons")) == rare
