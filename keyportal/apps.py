"""The admin site with the portal's own log-in."""

from django.contrib.admin.apps import AdminConfig


class PortalAdminConfig(AdminConfig):
    """Django's admin, entered through the portal's log-in: same limits, same second factor."""

    default_site = "keyportal.admin.PortalAdminSite"
