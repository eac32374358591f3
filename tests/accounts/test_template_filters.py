"""Filters for texts that other people wrote, and for messages in plain text."""

import pytest
from django.template import Context, Template

from accounts.templatetags.texts import paragraphs, printable_text


@pytest.mark.parametrize(
    ("text", "told"), [(None, ""), ("", ""), ("a\u202eb\u200b", "ab"), ("Firefox", "Firefox")], ids=ascii
)
def test_what_nobody_can_see_is_left_out(text: object, told: str) -> None:
    assert printable_text(text) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ""),
        ("one line", "one line"),
        ("\nA sentence that\n goes on.\n", "A sentence that goes on."),
        ("One\nparagraph.\n\nAnother\none.\n \n\nA third.", "One paragraph.\n\nAnother one.\n\nA third."),
    ],
)
def test_a_paragraph_is_one_line(text: str, told: str) -> None:
    assert paragraphs(text) == told


def test_a_message_that_is_filtered_is_not_escaped_again() -> None:
    text = "{% load texts %}{% autoescape off %}{% filter paragraphs %}a &\n{{ b }}{% endfilter %}{% endautoescape %}"
    assert Template(text).render(Context({"b": "<b>&"})) == "a & <b>&"
