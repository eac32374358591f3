"""The operators' site."""

from allauth.account.decorators import secure_admin_login
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse


class PortalAdminSite(AdminSite):
    """Django's admin under the portal's name. Its log-in page is the portal's."""

    site_header = "keyportal operators"
    site_title = "keyportal operators"
    index_title = "What operators do"

    def login(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        """Send to the portal's log-in; 403 for a developer who is logged in."""
        response: HttpResponse = secure_admin_login(super().login)(request, extra_context)
        return response
