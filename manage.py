#!/usr/bin/env python
"""Django's command line for keyportal."""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line

from keyportal.private_files import OTHERS

FOR_OTHERS = (["collectstatic"], ["makemigrations"], ["squashmigrations"], ["startapp"])
"""Commands that write what other users read: a web server, a colleague."""


def main() -> None:
    """Run the command. Without a configuration the settings say in a line what is wrong, and end the process."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keyportal.settings")
    settings.SECRET_KEY  # noqa: B018  # reading one setting reads them all, also for the commands that do without
    if sys.argv[1:2] not in FOR_OTHERS:
        os.umask(OTHERS)  # a dump of the database, a listing of keys: nobody else's
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
