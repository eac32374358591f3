"""Texts that somebody else wrote, on a page."""

from django import template

from accounts.names import printable

register = template.Library()


@register.filter
def shown(text: object) -> str:
    """Return what may be shown of a text that nobody was asked about; None shows nothing."""
    return "" if text is None else printable(str(text))
