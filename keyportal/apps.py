"""The frame, and the admin site with the portal's own log-in, as Django applications."""

import os
from pathlib import Path

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin.apps import AdminConfig

from keyportal.private_files import OTHERS, make_private, make_tree_private, private_folder


class FrameConfig(AppConfig):
    """The frame. In local mode it sees to it that nobody else on the machine reads what the portal writes."""

    name = "keyportal"

    def ready(self) -> None:
        """Take from others what is there already, and by the umask what comes."""
        if not settings.KEYPORTAL_LOCAL:
            return
        os.umask(OTHERS)
        make_private(Path(settings.KEYPORTAL_ENV_FILE).resolve())
        make_tree_private(settings.VAR_DIR)
        if Path(settings.EMAIL_FILE_PATH).is_dir():
            private_folder(Path(settings.EMAIL_FILE_PATH), "*.log")


class PortalAdminConfig(AdminConfig):
    """Django's admin, entered through the portal's log-in: same limits, same second factor."""

    default_site = "keyportal.admin.PortalAdminSite"
