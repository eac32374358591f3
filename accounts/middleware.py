"""What a browser's request goes through on the way to a page of the portal: its session, and fresh log-in."""

import logging
import time
from collections.abc import Callable
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from accounts.attempts import TooManyAttemptsError
from accounts.errors import LinkOverError
from accounts.guessing import AccountDelayedError
from accounts.sealed import TamperedRowError
from accounts.sessions import STARTED, SessionStore

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]


class SessionMiddleware(DjangoSessionMiddleware):
    """Django's, with the token in the cookie and its digest in the database."""

    def process_request(self, request: HttpRequest) -> None:
        """Attach the session of the cookie."""
        request.session = SessionStore.of_cookie(request.COOKIES.get(settings.SESSION_COOKIE_NAME))

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Save the session as Django does, and give the browser the token instead of the key."""
        response = super().process_response(request, response)
        cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
        token = getattr(request.session, "token", None)
        if cookie is not None and cookie.value and token:
            response.cookies[settings.SESSION_COOKIE_NAME] = token
            for name, value in cookie.items():
                response.cookies[settings.SESSION_COOKIE_NAME][name] = value
        return response


class SessionLifetimeMiddleware:
    """Ends a session at its absolute lifetime, however busy it is (ASVS 7.3.2). The idle one is the cookie's age."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Log the user out if the log-in is older than `KEYPORTAL_SESSION_LIFETIME` seconds."""
        if request.session.session_key and request.user.is_authenticated and _is_over(request):
            logout(request)
        return self.get_response(request)


def _is_over(request: HttpRequest) -> bool:
    # A session without the note was not made by our log-in.
    started: float = request.session.get(STARTED, 0)
    return time.time() - started > float(settings.KEYPORTAL_SESSION_LIFETIME)


class FreshLoginMiddleware:
    """Sends whoever must log in afresh to do so, and remembers nothing of what they had posted.

    django-allauth would keep the whole request in the session, to carry it out afterwards: cookies, passwords and the
    process's environment would lie in the database in clear. Here they come back to the page and press once more.
    It stands inside AccountMiddleware, so that it sees the exception first.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on: only exceptions matter here."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Give a redirect to the user's first way of logging in afresh."""
        if not isinstance(exception, ReauthenticationRequired):
            return None
        methods = get_adapter().get_reauthentication_methods(request.user)
        target = methods[0]["url"] if methods else reverse("account_login")
        return HttpResponseRedirect(f"{target}?{urlencode({'next': _way_back(request)})}")


def _way_back(request: HttpRequest) -> str:
    """Give the page to return to: the one asked for, or the one that holds the form that was posted."""
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    match = request.resolver_match
    return_to = getattr(match.func, "fresh_login_return", None) if match else None
    return return_to(**match.kwargs) if return_to and match else request.path


class AccountErrorsMiddleware:
    """Makes a page of what the forms and verbs of an account raise, wherever a library calls them."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on: only exceptions matter here."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return 429 for a limit, 410 for a link that is over, 409 for an account that somebody tampered with."""
        if isinstance(exception, TooManyAttemptsError):
            delayed = isinstance(exception, AccountDelayedError)
            wait = exception.retry_after
            context = {"words": exception.words, "wait": wait, "minutes": -(-wait // 60), "delayed": delayed}
            response = render(request, "accounts/too_many.html", context, status=429)
            response["Retry-After"] = str(wait)
            return response
        if isinstance(exception, LinkOverError):
            return render(request, "account/link_over.html", status=410)
        if isinstance(exception, TamperedRowError):
            logger.error("integrity_violation: %s", exception)
            return render(request, "accounts/tampered.html", status=409)
        return None
