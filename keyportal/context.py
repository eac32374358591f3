"""What every template may need to know."""

from django.conf import settings
from django.http import HttpRequest

THEMES = ("system", "light", "dark")


def portal(request: HttpRequest) -> dict[str, object]:
    """Give the theme that the browser's cookie names, the public address, and whether this is local mode."""
    theme = request.COOKIES.get(settings.KEYPORTAL_THEME_COOKIE, "system")
    return {
        "theme": theme if theme in THEMES else "system",
        "portal_url": settings.KEYPORTAL_URL,
        "local_mode": settings.KEYPORTAL_LOCAL,
    }
