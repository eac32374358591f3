#!/usr/bin/env python
"""Django's command line for keyportal."""

import os
import sys
import warnings

from django.conf import settings
from django.core.management import execute_from_command_line

from keyportal.doctor.unreadable import print_unreadable
from keyportal.errors.redacted_errors import DATABASE, in_short, print_redacted
from keyportal.local.private_files import OTHERS
from vault.errors import VaultError

WITHOUT_SETTINGS = (["newkey"], ["newsecrets"])
"""Commands for a machine that has no configuration yet."""
FOR_OTHERS = (["collectstatic"], ["makemigrations"], ["squashmigrations"], ["startapp"])
"""Commands that write what other users read: a web server, a colleague."""


def main() -> None:
    """Run the command. Without a configuration the settings say in a line what is wrong, and end the process."""
    if sys.argv[1:2] in WITHOUT_SETTINGS:
        os.environ["DJANGO_SETTINGS_MODULE"] = "keyportal.first_secrets.settings"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keyportal.settings")
    try:
        settings.INSTALLED_APPS  # noqa: B018  # reading one setting reads them all, also for the commands that do without
    except SystemExit as end:
        if sys.argv[1:2] != ["doctor"]:
            raise
        unreadable = str(end.code).splitlines()
    else:
        unreadable = []
    if unreadable:
        sys.exit(print_unreadable(unreadable, for_programs="--json" in sys.argv))
    if sys.argv[1:2] not in FOR_OTHERS:
        os.umask(OTHERS)  # a dump of the database, a listing of keys: nobody else's
    # Django tells of a database that can't be asked in a warning which quotes libpq.
    warnings.filterwarnings("ignore", "Got an error checking a consistent migration history", RuntimeWarning)
    sys.excepthook = print_redacted
    problem = ""
    try:
        execute_from_command_line(sys.argv)
    except DATABASE as error:
        problem = in_short(error)
    except VaultError as error:  # its messages name rings and key ids, and no key
        sys.exit(f"keyportal: {error}. Run the command with the key rings that the portal has.")
    if problem:  # outside of the handler: nobody finds the error with its text behind the exit
        sys.exit(f"keyportal: the database in DATABASE_URL reported an error: {problem}")


if __name__ == "__main__":
    main()
