"""The operators' site."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final

from allauth.account.decorators import secure_admin_login
from allauth.account.views import LogoutView
from django.contrib.admin import AdminSite
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver

from accounts.models import AuditEvent
from accounts.operators import OperatorAdmin

HIDDEN: Final = {
    "account.EmailAddress",
    "account.EmailConfirmation",
    "auth.Group",
    "mfa.Authenticator",
    "usersessions.UserSession",
}
"""What libraries would register: sealed seeds and session keys are nobody's business, and writes go through verbs."""
PAGES: Final = frozenset(("index", "login", "logout", "password_change", "jsi18n", "app_list"))
"""Django's pages that belong to no model and are kept. Those that look any model's rows up by a name are not."""
LATEST: Final = 10


class PortalAdminSite(AdminSite):
    """Django's admin under the portal's name. Its log-in page is the portal's."""

    site_header = "keyportal operators"
    site_title = "keyportal operators"
    index_title = "What operators do"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register the models that operators see. Raises `ImproperlyConfigured` for pages that name no permission."""
        models: Iterable[type[Model]] = (
            model_or_iterable if isinstance(model_or_iterable, (list, tuple)) else [model_or_iterable]
        )
        shown = [model for model in models if model._meta.label not in HIDDEN and not model._meta.swapped]
        if shown and not (admin_class and issubclass(admin_class, OperatorAdmin)):
            raise ImproperlyConfigured(f"The admin of {shown[0]._meta.label} must be an OperatorAdmin, or hidden.")
        super().register(shown, admin_class, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        """Tell whether somebody is an operator: switched on, and confirmed as everybody whose rights count here."""
        return super().has_permission(request) and request.user.is_confirmed  # type: ignore[union-attr]

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        """Guard a page: 403 for somebody who is logged in and no operator, the portal's log-in for everybody else."""
        guarded = super().admin_view(view, cacheable)

        @wraps(guarded)
        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if request.user.is_authenticated and not self.has_permission(request):
                raise PermissionDenied
            return guarded(request, *args, **kwargs)

        return inner

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Return the pages of the models and the few of Django's own that are kept."""
        urls: list[Any] = super().get_urls()
        return [url for url in urls if getattr(url, "name", None) in (*PAGES, None)]  # a model's pages bear no name

    def get_log_entries(self, request: HttpRequest) -> Any:
        """Return what the operator did last, from the trail: there is no second log."""
        return AuditEvent.objects.filter(actor=f"user:{request.user.pk}").order_by("-at", "-id")[:LATEST]

    def password_change(  # type: ignore[override]  # a redirect instead of a page
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Send to the portal's page: the change is recorded and ends signed tokens."""
        return redirect("account_change_password")

    def logout(  # type: ignore[override]  # a redirect instead of a page
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Log out as everywhere in the portal: on the record."""
        response: HttpResponse = LogoutView.as_view()(request)
        return response

    def login(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        """Send to the portal's log-in; an operator to the site, and 403 for a developer who is logged in.

        Django's own form is never reached: it asks for no second factor and counts no guesses.
        """
        response: HttpResponse = secure_admin_login(self._inside)(request)
        return response

    def _inside(self, request: HttpRequest) -> HttpResponse:
        if not self.has_permission(request):
            raise PermissionDenied
        return redirect("admin:index")
