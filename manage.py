#!/usr/bin/env python
"""Django's command line for keyportal."""

import os
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    """Run the command; without a configuration, say in one line what is missing."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keyportal.settings")
    try:
        settings.SECRET_KEY  # noqa: B018  # reading one setting reads them all
    except ImproperlyConfigured as missing:
        sys.exit(f"keyportal: {missing}. docs/configuration.md lists the settings; `make run` writes a .env.")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
