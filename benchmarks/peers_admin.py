"""The operators' site beside peers: without the pages that they bring, which name no permission."""

from typing import Any

from accounts.operators import OperatorAdmin
from keyportal.admin import PortalAdminSite


class PeersAdminSite(PortalAdminSite):
    """The portal's own pages only."""

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register what is the portal's, and pass over what is a peer's."""
        if admin_class and issubclass(admin_class, OperatorAdmin):
            super().register(model_or_iterable, admin_class, **options)
