"""A template filter for texts that other people wrote."""

from django import template

from accounts.names import printable

register = template.Library()


@register.filter
def shown(text: object) -> str:
    """Return the displayable part of a text that was never validated; empty for None."""
    return "" if text is None else printable(str(text))
