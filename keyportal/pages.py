"""What only a browser needs. A request of a machine passes by: no session, no messages, no CSRF, none of their cost.

Each is the class that it is named after, and acts only off `KEYPORTAL_MACHINE_PATHS`.
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

from accounts.middleware import SessionLifetimeMiddleware as AccountsSessionLifetimeMiddleware
from accounts.middleware import SessionMiddleware as AccountsSessionMiddleware
from accounts.middleware import WayBackMiddleware as AccountsWayBackMiddleware


def is_for_machines(request: HttpRequest) -> bool:
    """Tell whether a request asks for an address where a session is never a credential."""
    known: bool | None = getattr(request, "for_machines", None)  # every middleware asks
    if known is None:
        known = request.path_info.startswith(settings.KEYPORTAL_MACHINE_PATHS)
        request.for_machines = known  # type: ignore[attr-defined]  # kept here
    return known


class PagesOnly:
    """Lets requests of machines pass by the middleware that it is mixed into."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        """Pass on to the middleware, or past it."""
        if is_for_machines(request):
            return self.get_response(request)
        return super().__call__(request)  # type: ignore[misc]  # of the class that it is mixed into


class CommonMiddleware(DjangoCommonMiddleware):
    """Leads to an address with a slash at its end where there is one, but nobody who has sent something."""

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        """Return whether the address lacks nothing but the slash."""
        return request.method in ("GET", "HEAD") and super().should_redirect_with_slash(request)


class CSPMiddleware(PagesOnly, DjangoCSPMiddleware):
    """For machines there is one policy for all answers: `keyportal.middleware.ResponseHeadersMiddleware`."""


class SessionMiddleware(PagesOnly, AccountsSessionMiddleware):
    """A session cookie that comes to an address for machines is never read."""


class CsrfViewMiddleware(PagesOnly, DjangoCsrfViewMiddleware):
    """Where no cookie is a credential there is nothing to forge."""

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
    """For machines as the policy above."""


class WayBackMiddleware(PagesOnly, AccountsWayBackMiddleware):
    """Machines are refused, and never led to a log-in."""

    def process_template_response(self, request: HttpRequest, response: TemplateResponse) -> TemplateResponse:
        """Fill a draft into a page; REST framework's answers are rendered late too, and have no session."""
        return response if is_for_machines(request) else super().process_template_response(request, response)


class UserSessionsMiddleware(PagesOnly, usersessions.UserSessionsMiddleware):  # type: ignore[misc]  # untyped
    """Notes when a session was last used."""
