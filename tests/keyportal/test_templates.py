"""Templates only lay out: short lines, `if`, `for` and `include`. What a page says is decided in a view-model."""

import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.portal import ROOT

pytestmark = pytest.mark.once

TEMPLATES: Final = ROOT / "templates"
LONGEST_LINE: Final = 160
MOST_LINES: Final = 120
FILTERS: Final = {
    *("admin_urlname", "admin_urlquote", "capfirst", "date", "default", "intcomma", "json_script", "length"),
    *("linebreaks", "naturaltime", "paragraphs", "pluralize", "printable", "safe", "timeuntil", "urlize", "yesno"),
}
"""Filters that write a value as it is. Those that cut, join or compute make a view-model necessary."""
COMPARING: Final = {
    "_field.html": "the kind of a field's widget: Django gives it to templates for this",
    "_nav.html": "the address of the page, for aria-current",
    "_theme.html": "the chosen theme",
    "accounts/_side.html": "the address of the page, for aria-current",
    "allauth/elements/button.html": "django-allauth's own interface: type and tags",
    "allauth/elements/field.html": "django-allauth's own interface: type",
    "errors/_plain.html": "the method of the request; the page is what is left when all else fails",
}
"""Templates that compare something, and what."""
TAG: Final = re.compile(r"{[{%].*?[%}]}")
TEXT: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
FILTER: Final = re.compile(r"\|(\w+)|{% filter (\w+)")
COMPARISON: Final = re.compile(r"^{% *(?:if|elif) .*?(?: (?:==|!=|<=?|>=?|(?:not )?in) )")


def templates() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each template."""
    for path in sorted(TEMPLATES.rglob("*.*")):
        yield str(path.relative_to(TEMPLATES)), path.read_text()


def long_lines(text: str) -> list[int]:
    return [number for number, line in enumerate(text.splitlines(), 1) if len(line) > LONGEST_LINE]


def odd_filters(text: str) -> set[str]:
    bare = [TEXT.sub("", tag) for tag in TAG.findall(text)]
    return {found[1] or found[2] for tag in bare for found in FILTER.finditer(tag)} - FILTERS


def compares(text: str) -> bool:
    return any(COMPARISON.match(tag) for tag in TAG.findall(text))


def test_no_line_is_long() -> None:
    assert {name: lines for name, text in templates() if (lines := long_lines(text))} == {}


def test_no_template_is_long() -> None:
    assert [name for name, text in templates() if len(text.splitlines()) > MOST_LINES] == []


def test_no_template_cuts_or_computes() -> None:
    assert {name: filters for name, text in templates() if (filters := odd_filters(text))} == {}


def test_templates_compare_nothing_but_what_the_framework_gives_them_for_that() -> None:
    assert [name for name, text in templates() if compares(text)] == sorted(COMPARING)


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("{{ text|slice:':8' }}", {"slice"}),
        ("{% if event.actor|slice:':5' == 'user:' %}", {"slice"}),
        ("{{ 'user:'|add:user.pk }}", {"add"}),
        ("{{ at|date:'j|M' }} | {{ text|printable|default:'|cut' }}", set()),
        ("{% filter upper %}x{% endfilter %}", {"upper"}),
        ("{% include 'a.html' with names=names|join:', ' %}", {"join"}),
        ("{{ name }}|cut", set()),
    ],
)
def test_the_look_for_filters_finds_them(text: str, filters: set[str]) -> None:
    assert odd_filters(text) == filters


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{% if unit == "hour" %}', True),
        ("{% if a %}x{% elif wait < 60 %}", True),
        ("{% if 'danger' in tags or b %}", True),
        ("{% if a and b != c %}", True),
        ("{% if a and not b %}", False),
        ("{% if a is not None %}", False),
        ("{% for a in b %}", False),
        ("{% if a %} == {% endif %}", False),
    ],
)
def test_the_look_for_comparisons_finds_them(text: str, found: bool) -> None:
    assert compares(text) is found


def test_the_look_for_long_lines_counts_characters() -> None:
    assert long_lines("é" * LONGEST_LINE + "\n" + "é" * (LONGEST_LINE + 1) + "\n") == [2]


def test_there_are_templates() -> None:
    names = {name for name, _ in templates()}
    assert {"base.html", "keys/_row.html", "account/email/base_message.txt"} <= names
