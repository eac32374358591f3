"""Context that every template may need."""

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.issuing import current_suspension

THEMES = ("system", "light", "dark")


def portal(request: HttpRequest) -> dict[str, object]:
    """Return the theme from the browser's cookie, the portal's URL, and whether this is local mode.

    The suspension of new credentials, if there is one, is read only by a template that asks for it.
    """
    theme = request.COOKIES.get(settings.KEYPORTAL_THEME_COOKIE, "system")
    return {
        "theme": theme if theme in THEMES else "system",
        "portal_url": settings.KEYPORTAL_URL,
        "local_mode": settings.KEYPORTAL_LOCAL,
        "suspension": SimpleLazyObject(current_suspension),
    }
