"""The operators' site."""

from collections.abc import Iterable
from typing import Any, Final

from allauth.account.decorators import secure_admin_login
from allauth.account.views import LogoutView
from django.contrib.admin import AdminSite
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

HIDDEN: Final = {
    "account.EmailAddress",
    "account.EmailConfirmation",
    "auth.Group",
    "mfa.Authenticator",
    "usersessions.UserSession",
}
"""What libraries would register: sealed seeds and session keys are nobody's business, and writes go through verbs."""


class PortalAdminSite(AdminSite):
    """Django's admin under the portal's name. Its log-in page is the portal's."""

    site_header = "keyportal operators"
    site_title = "keyportal operators"
    index_title = "What operators do"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register the models that operators see."""
        models: Iterable[type[Model]] = (
            model_or_iterable if isinstance(model_or_iterable, (list, tuple)) else [model_or_iterable]
        )
        shown = [model for model in models if model._meta.label not in HIDDEN]
        super().register(shown, admin_class, **options)

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
        """Send to the portal's log-in; 403 for a developer who is logged in."""
        response: HttpResponse = secure_admin_login(super().login)(request, extra_context)
        return response
