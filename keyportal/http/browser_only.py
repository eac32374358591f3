"""Middleware that only browsers need. Requests of machines skip it: no session, no messages, no CSRF check.

Each class is the one that it is named after, and skips `KEYPORTAL_MACHINE_PATHS`.
"""

from typing import Any, Final

from allauth.usersessions import middleware as usersessions
from csp import middleware as csp
from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.http import HttpRequest, HttpResponse
from django.middleware import clickjacking, common, csrf
from typing_extensions import override

from accounts import middleware as accounts


def is_for_machines(request: HttpRequest) -> bool:
    """Return whether a request's path is one where a session is never a credential."""
    known: bool | None = getattr(request, "for_machines", None)  # cached, because every middleware asks
    if known is None:
        known = request.path_info.startswith(settings.KEYPORTAL_MACHINE_PATHS)
        request.for_machines = known  # type: ignore[attr-defined]  # the cache
    return known


def browsers_only(middleware: type[Any]) -> type[Any]:
    """Return a subclass of a middleware that lets requests of machines past it, past its hooks too."""

    def call(self: Any, request: HttpRequest) -> Any:
        return self.get_response(request) if is_for_machines(request) else middleware.__call__(self, request)

    def view(self: Any, request: HttpRequest, *view: Any) -> Any:
        return None if is_for_machines(request) else middleware.process_view(self, request, *view)

    def template_response(self: Any, request: HttpRequest, response: HttpResponse) -> Any:
        # REST framework's responses are rendered late too, but have no session.
        return response if is_for_machines(request) else middleware.process_template_response(self, request, response)

    hooks = {"process_view": view, "process_template_response": template_response}
    present = {name: hook for name, hook in hooks.items() if hasattr(middleware, name)}
    return type(middleware.__name__, (middleware,), {"__call__": call, "__module__": __name__, **present})


# Machines have a credential, and no session that would name a user: a cookie that is sent there is never read.
SessionMiddleware: Final = browsers_only(accounts.SessionMiddleware)
AuthenticationMiddleware: Final = browsers_only(auth.AuthenticationMiddleware)
SessionLifetimeMiddleware: Final = browsers_only(accounts.SessionLifetimeMiddleware)
UserSessionsMiddleware: Final = browsers_only(usersessions.UserSessionsMiddleware)
# Where no cookie is a credential, a form of another site can do nothing.
CsrfViewMiddleware: Final = browsers_only(csrf.CsrfViewMiddleware)
MessageMiddleware: Final = browsers_only(messages.MessageMiddleware)
# Machines get one policy and one header for all responses: `keyportal.http.middleware.ResponseHeadersMiddleware`.
CSPMiddleware: Final = browsers_only(csp.CSPMiddleware)
XFrameOptionsMiddleware: Final = browsers_only(clickjacking.XFrameOptionsMiddleware)
# Machines are refused, and never redirected to a log-in.
WayBackMiddleware: Final = browsers_only(accounts.WayBackMiddleware)


class CommonMiddleware(common.CommonMiddleware):
    """Redirects to the URL with a slash at its end if there is one, but never a request that sends data."""

    @override
    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        return request.method in ("GET", "HEAD") and super().should_redirect_with_slash(request)
