"""Middleware that only browsers need. Requests of machines skip it: no session, no messages, no CSRF check.

Each class is the one that it is named after, and skips `KEYPORTAL_MACHINE_PATHS`.
"""

from typing import Any

from allauth.usersessions import middleware as usersessions
from csp.middleware import CSPMiddleware as DjangoCSPMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware as DjangoAuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware as DjangoMessageMiddleware
from django.http import HttpRequest
from django.middleware.clickjacking import XFrameOptionsMiddleware as DjangoXFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware as DjangoCommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware as DjangoCsrfViewMiddleware
from django.template.response import TemplateResponse
from typing_extensions import override

from accounts.middleware import SessionLifetimeMiddleware as AccountsSessionLifetimeMiddleware
from accounts.middleware import SessionMiddleware as AccountsSessionMiddleware
from accounts.middleware import WayBackMiddleware as AccountsWayBackMiddleware


def is_for_machines(request: HttpRequest) -> bool:
    """Return whether a request's path is one where a session is never a credential."""
    known: bool | None = getattr(request, "for_machines", None)  # cached, because every middleware asks
    if known is None:
        known = request.path_info.startswith(settings.KEYPORTAL_MACHINE_PATHS)
        request.for_machines = known  # type: ignore[attr-defined]  # the cache
    return known


class PagesOnly:
    """Mixin for a middleware that requests of machines skip."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        """Pass the request to the middleware, or past it."""
        if is_for_machines(request):
            return self.get_response(request)
        return super().__call__(request)  # type: ignore[misc]  # of the class that it is mixed into


class CommonMiddleware(DjangoCommonMiddleware):
    """Redirects to the URL with a slash at its end if there is one, but never a request that sends data."""

    @override
    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        """Return whether the URL lacks only the slash."""
        return request.method in ("GET", "HEAD") and super().should_redirect_with_slash(request)


class CSPMiddleware(PagesOnly, DjangoCSPMiddleware):
    """Machines get one policy for all responses: `keyportal.http.middleware.ResponseHeadersMiddleware`."""


class SessionMiddleware(PagesOnly, AccountsSessionMiddleware):
    """A session cookie that is sent to a path for machines is never read."""


class CsrfViewMiddleware(PagesOnly, DjangoCsrfViewMiddleware):
    """No CSRF check where no cookie is a credential."""

    @override
    def process_view(self, request: HttpRequest, *view: Any) -> Any:
        """Check the token of a form."""
        return None if is_for_machines(request) else super().process_view(request, *view)


class AuthenticationMiddleware(PagesOnly, DjangoAuthenticationMiddleware):
    """Machines have a credential, and no session that would name a user."""


class SessionLifetimeMiddleware(PagesOnly, AccountsSessionLifetimeMiddleware):
    """Ends a session at its absolute lifetime."""


class MessageMiddleware(PagesOnly, DjangoMessageMiddleware):
    """Machines read no messages."""


class XFrameOptionsMiddleware(PagesOnly, DjangoXFrameOptionsMiddleware):
    """Machines get the header from `keyportal.http.middleware.ResponseHeadersMiddleware`."""


class WayBackMiddleware(PagesOnly, AccountsWayBackMiddleware):
    """Machines are refused, and never redirected to a log-in."""

    @override
    def process_template_response(self, request: HttpRequest, response: TemplateResponse) -> TemplateResponse:
        """Fill a draft into a page. REST framework's responses are rendered late too, but have no session."""
        return response if is_for_machines(request) else super().process_template_response(request, response)


class UserSessionsMiddleware(PagesOnly, usersessions.UserSessionsMiddleware):  # type: ignore[misc]  # untyped
    """Records when a session was last used."""
