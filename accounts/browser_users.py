"""Who has logged in in this browser: what a person typed must not come up before another one who logs in next.

A cookie names the last two users, signed, and outlives their sessions. It opens nothing.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse

YEAR = 365 * 24 * 3600
SALT = "keyportal.browser_users"
KEPT = 2  # one, or more than one: that is all that anybody asks


def users_of_browser(request: HttpRequest) -> list[str]:
    """Return the ids of the users who logged in in this browser, the last one first; empty if nobody did."""
    cookie = request.get_signed_cookie(settings.KEYPORTAL_USERS_COOKIE, "", salt=SALT, max_age=YEAR)
    return cookie.split(".") if cookie else []


def remember_user(request: HttpRequest, response: HttpResponse) -> None:
    """Set the cookie if somebody is logged in whom it does not name as the last one."""
    if not request.user.is_authenticated:
        return
    known = users_of_browser(request)
    if known[:1] == [request.user.pk]:
        return
    newest = list(dict.fromkeys([request.user.pk, *known]))[:KEPT]
    response.set_signed_cookie(
        settings.KEYPORTAL_USERS_COOKIE,
        ".".join(newest),
        salt=SALT,
        max_age=YEAR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
