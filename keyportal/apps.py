"""Django's configuration of the project itself, and of the admin site with the portal's own log-in."""

import os
from pathlib import Path

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin.apps import AdminConfig
from typing_extensions import override

from keyportal.local.private_files import OTHERS, make_private, make_tree_private, private_folder


class FrameConfig(AppConfig):
    """The project as an app. In local mode it keeps other users of the machine from reading the portal's files."""

    name = "keyportal"
    verbose_name = "Operation"

    @override
    def ready(self) -> None:
        """Remove other users' access to existing files, and set the umask for new ones."""
        if not settings.KEYPORTAL_LOCAL:
            return
        os.umask(OTHERS)
        make_private(Path(settings.KEYPORTAL_ENV_FILE).resolve())
        make_tree_private(settings.VAR_DIR)
        if Path(settings.EMAIL_FILE_PATH).is_dir():
            private_folder(Path(settings.EMAIL_FILE_PATH), "*.log")


class PortalAdminConfig(AdminConfig):
    """Django's admin behind the portal's log-in, with the same limits and the same second factor."""

    default_site = "keyportal.admin_site.PortalAdminSite"
