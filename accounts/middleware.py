"""Middleware for browser requests: sessions and their lifetime, and the way through a log-in and back."""

import time
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from allauth.account.adapter import get_adapter
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from typing_extensions import override

from accounts.browser_users import remember_user
from accounts.drafts import Why, fill_in, pop_draft, save_draft
from accounts.sessions import STARTED, SessionStore
from accounts.way_back import page_of

GetResponse = Callable[[HttpRequest], HttpResponse]


class SessionMiddleware(DjangoSessionMiddleware):
    """Django's middleware, with the token in the cookie and its digest in the database."""

    @override
    def process_request(self, request: HttpRequest) -> None:
        """Attach the session that the cookie names."""
        request.session = SessionStore.of_cookie(request.COOKIES.get(settings.SESSION_COOKIE_NAME))

    @override
    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Save the session as Django does, but put the token in the cookie in place of the session key."""
        response = super().process_response(request, response)
        cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
        token = getattr(request.session, "token", None)
        if cookie is not None and cookie.value and token:
            response.cookies[settings.SESSION_COOKIE_NAME] = token
            for name, value in cookie.items():
                response.cookies[settings.SESSION_COOKIE_NAME][name] = value
        return response


class SessionLifetimeMiddleware:
    """Middleware that ends a session at its absolute lifetime (ASVS 7.3.2). The cookie's age limits its idle time."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Log the user out if the log-in is older than `KEYPORTAL_SESSION_LIFETIME` seconds."""
        if request.session.session_key and request.user.is_authenticated and _has_expired(request):
            logout(request)
        return self.get_response(request)


def _has_expired(request: HttpRequest) -> bool:
    # A session without a start time was not made by our log-in.
    started: float = request.session.get(STARTED, 0)
    return time.time() - started > float(settings.KEYPORTAL_SESSION_LIFETIME)


class WayBackMiddleware:
    """Middleware that leads users who must log in, or log in afresh, to the log-in and back to their page.

    An interrupted POST is never replayed: the page comes back with what the user typed (`accounts.drafts`), and the
    user presses the button again. To replay it, django-allauth would keep the whole request in the session, with
    cookies, passwords and the process's environment in clear in the database (decision 3). This middleware is inside
    AccountMiddleware, so that it sees the exception first.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle the request; if a POST by an anonymous user was redirected to a log-in, keep its draft."""
        response = self.get_response(request)
        if request.method == "POST" and not request.user.is_authenticated:
            response = _lead_back(request, response)
        remember_user(request, response)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Redirect to the user's first method of reauthentication; None for other exceptions."""
        if not isinstance(exception, ReauthenticationRequired):
            return None
        methods = get_adapter().get_reauthentication_methods(request.user)
        return _to_log_in(request, methods[0]["url"] if methods else reverse(settings.LOGIN_URL))

    def process_template_response(self, request: HttpRequest, response: TemplateResponse) -> TemplateResponse:
        """Fill the draft into the form of the page that is shown, and add a message about it.

        Not before the view, because another log-in may come before any page is shown.
        """
        draft = pop_draft(request) if request.method == "GET" else None
        if draft is None:
            return response
        context = response.context_data or {}
        form = getattr(context.get("adminform"), "form", None) or context.get("form")
        messages.warning(request, draft.message(typed=isinstance(form, BaseForm) and fill_in(form, draft)))
        return response


def _to_log_in(request: HttpRequest, log_in: str) -> HttpResponse:
    """Return a redirect to a log-in page, with the page to come back to; keep the draft of a POST."""
    signed_out = not request.user.is_authenticated
    if request.method == "POST":
        save_draft(request, Why.SIGNED_OUT if signed_out else Why.NOT_FRESH)
        if signed_out:
            messages.warning(request, "You were signed out. Log in to continue where you left off.")
    return HttpResponseRedirect(f"{log_in}?{urlencode({REDIRECT_FIELD_NAME: page_of(request)})}")


def _lead_back(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Replace the redirect with which a decorator, the admin or an expired log-in step turned a POST away."""
    location = urlsplit(response.get("Location", ""))
    if location.path not in (reverse(settings.LOGIN_URL), reverse("admin:login")):
        return response
    if QueryDict(location.query).get(REDIRECT_FIELD_NAME) == request.get_full_path():
        return _to_log_in(request, reverse(settings.LOGIN_URL))
    if request.resolver_match and request.resolver_match.view_name == "mfa_authenticate":
        messages.warning(request, "Your log-in took too long, or ended in another tab. Start again.")
    return response
