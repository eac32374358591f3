"""The admin site of the portal's operators."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from typing import Any, Final, NamedTuple

from allauth.account.decorators import secure_admin_login
from allauth.account.views import LogoutView
from django.contrib.admin import AdminSite
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver
from typing_extensions import override

from accounts.operators import OperatorAdmin
from audit.models import Event

HIDDEN: Final = {
    "account.EmailAddress",
    "account.EmailConfirmation",
    "auth.Group",
    "mfa.Authenticator",
    "usersessions.UserSession",
}
"""Models that libraries would register. They hold sealed seeds and session keys, and writes go through verbs."""
PAGES: Final = frozenset(("index", "login", "logout", "password_change", "jsi18n", "app_list"))
"""Django's pages that stay although they belong to no model. Others can look up rows of any model, and are removed."""
LATEST: Final = 10


class LogEntry(NamedTuple):
    """One of the operator's latest actions."""

    sentence: str
    subject_id: str
    """Whom or what it concerned; empty if that has no id."""
    at: datetime


class PortalAdminSite(AdminSite):
    """Django's admin under the portal's name, with the portal's log-in page."""

    site_header = "keyportal operators"
    site_title = "keyportal operators"
    index_title = "Operator tasks"

    @override
    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register the models that operators see. Raises `ImproperlyConfigured` for pages that name no permission."""
        models: Iterable[type[Model]] = (
            model_or_iterable if isinstance(model_or_iterable, (list, tuple)) else [model_or_iterable]
        )
        shown = [model for model in models if model._meta.label not in HIDDEN and not model._meta.swapped]
        if shown and not (admin_class and issubclass(admin_class, OperatorAdmin)):
            raise ImproperlyConfigured(f"The admin of {shown[0]._meta.label} must be an OperatorAdmin, or hidden.")
        super().register(shown, admin_class, **options)

    @override
    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether the user is an operator: staff, active, and confirmed like all whose rights count here."""
        return super().has_permission(request) and request.user.is_confirmed  # type: ignore[union-attr]

    @override
    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        """Return the guarded view: 403 for a logged-in user who is no operator, the log-in page for anonymous users."""
        guarded = super().admin_view(view, cacheable)

        @wraps(guarded)
        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if request.user.is_authenticated and not self.has_permission(request):
                raise PermissionDenied
            return guarded(request, *args, **kwargs)

        return inner

    @override
    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Return the URLs of the models' pages, and the few of Django's own that stay."""
        urls: list[Any] = super().get_urls()
        return [url for url in urls if getattr(url, "name", None) in (*PAGES, None)]  # a model's pages have no name

    @override
    def get_log_entries(self, request: HttpRequest) -> Any:  # Django's own are rows of its log
        """Return the operator's latest actions from the audit trail, which replaces Django's own log."""
        events = Event.objects.filter(actor=f"user:{request.user.pk}").order_by("-at", "-id")[:LATEST]
        return [_log_entry(event) for event in events]

    @override
    def password_change(  # type: ignore[override]  # a redirect instead of a page
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Redirect to the portal's page, which records the change and ends signed tokens."""
        return redirect("account_change_password")

    @override
    def logout(  # type: ignore[override]  # a redirect instead of a page
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Log out as everywhere in the portal, recorded in the audit trail."""
        response: HttpResponse = LogoutView.as_view()(request)
        return response

    @override
    def login(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        """Redirect an anonymous user to the portal's log-in and an operator to the site; 403 for other users.

        Django's own form is never reached, because it neither asks for a second factor nor counts guesses.
        """
        response: HttpResponse = secure_admin_login(self._inside)(request)
        return response

    def _inside(self, request: HttpRequest) -> HttpResponse:
        if not self.has_permission(request):
            raise PermissionDenied
        return redirect("admin:index")


def _log_entry(event: Event) -> LogEntry:
    return LogEntry(event.sentence, "" if event.subject_type == "credential" else event.subject_id, event.at)
