"""The admin site beside other libraries, without their pages, which name no permission."""

from typing import Any

from accounts.operators import OperatorAdmin
from keyportal.admin_site import PortalAdminSite


class PeersAdminSite(PortalAdminSite):
    """An admin site with the portal's own pages only."""

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register the portal's own pages and skip those of other libraries."""
        if admin_class and issubclass(admin_class, OperatorAdmin):
            super().register(model_or_iterable, admin_class, **options)
