"""Known devices, so that a stranger's wrong guesses do not lock the owner out (OWASP, "device cookies").

A browser that has logged in to an account gets a signed cookie for it. Its attempts are counted in a bucket of their
own, so that strangers who use up the account's bucket do not block it.
"""

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string

from accounts.emails import normalize_email

YEAR = 365 * 24 * 3600


def known_device(request: HttpRequest, email: str) -> str | None:
    """Return the device's id if it has logged in to this account before, otherwise None."""
    cookie = request.COOKIES.get(settings.KEYPORTAL_DEVICE_COOKIE, "")
    try:
        return _signer(email).unsign(cookie, max_age=YEAR)
    except signing.BadSignature:
        return None


def remember_device(request: HttpRequest, response: HttpResponse, email: str) -> None:
    """Set the cookie that marks this browser as one that has logged in to this account."""
    device = known_device(request, email) or get_random_string(22)
    response.set_cookie(
        settings.KEYPORTAL_DEVICE_COOKIE,
        _signer(email).sign(device),
        max_age=YEAR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _signer(email: str) -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=f"keyportal.device:{normalize_email(email)}")
