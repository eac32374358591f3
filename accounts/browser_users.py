"""The users who have logged in in this browser, so that one person's draft is never shown to the next one.

A signed cookie names the last two users, and outlives their sessions. It grants no access.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse

YEAR = 365 * 24 * 3600
SALT = "keyportal.browser_users"
MAX_USERS = 2  # enough to tell one user from more than one


def users_of_browser(request: HttpRequest) -> list[str]:
    """Return the ids of the users who logged in in this browser, the last one first; empty if there were none."""
    cookie = request.get_signed_cookie(settings.KEYPORTAL_USERS_COOKIE, "", salt=SALT, max_age=YEAR)
    return cookie.split(".") if cookie else []


def remember_user(request: HttpRequest, response: HttpResponse) -> None:
    """Set the cookie if the logged-in user is not the one that it names last."""
    if not request.user.is_authenticated:
        return
    known = users_of_browser(request)
    if known[:1] == [request.user.pk]:
        return
    newest = list(dict.fromkeys([request.user.pk, *known]))[:MAX_USERS]
    response.set_signed_cookie(
        settings.KEYPORTAL_USERS_COOKIE,
        ".".join(newest),
        salt=SALT,
        max_age=YEAR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
