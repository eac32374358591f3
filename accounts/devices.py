"""Known devices, so that a stranger's wrong guesses do not lock the owner out (OWASP, "device cookies").

A browser that has logged in to an account gets a signed cookie for it. Its attempts are counted in a bucket of their
own, so that strangers who use up the account's bucket do not block it. The cookie holds one part for each of the
accounts that were used last in this browser, so that a second account does not make the first one's browser unknown.
"""

from typing import Final

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string

from accounts.emails import normalize_email

YEAR = 365 * 24 * 3600
MAX_ACCOUNTS: Final = 5
"""Accounts whose browser a cookie marks. It also bounds what a made-up cookie costs."""
_BETWEEN: Final = "."


def known_device(request: HttpRequest, email: str) -> str | None:
    """Return the device's id if it has logged in to this account before, otherwise None."""
    devices = [_device_of(part, email) for part in _parts(request)]
    return next(filter(None, devices), None)


def remember_device(request: HttpRequest, response: HttpResponse, email: str) -> None:
    """Set the cookie that marks this browser as one that has logged in to this account."""
    device = known_device(request, email) or get_random_string(22)
    others = [part for part in _parts(request) if _device_of(part, email) is None]
    response.set_cookie(
        settings.KEYPORTAL_DEVICE_COOKIE,
        _BETWEEN.join([_signer(email).sign(device), *others][:MAX_ACCOUNTS]),
        max_age=YEAR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _parts(request: HttpRequest) -> list[str]:
    cookie = request.COOKIES.get(settings.KEYPORTAL_DEVICE_COOKIE, "")
    return cookie.split(_BETWEEN, MAX_ACCOUNTS)[:MAX_ACCOUNTS] if cookie else []


def _device_of(part: str, email: str) -> str | None:
    try:
        return _signer(email).unsign(part, max_age=YEAR)
    except signing.BadSignature:
        return None


def _signer(email: str) -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=f"keyportal.device:{normalize_email(email)}")
