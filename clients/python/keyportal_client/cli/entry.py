"""Where the command starts. It imports the rest itself, so that nothing that goes wrong there is a traceback."""

import sys
from importlib import import_module
from typing import Final, NoReturn

INTERRUPTED: Final = 130


def main() -> NoReturn:
    """Run the command and exit with its status."""
    try:
        run = import_module("keyportal_client.cli.run")
    except ModuleNotFoundError as error:
        if error.name == "fcntl":
            sys.exit("The command keyportal runs on Linux and macOS.")
        if error.name not in ("click", "keyring"):
            raise
        sys.exit("The command keyportal needs more packages: pip install 'keyportal-client[cli]'")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(run.run(sys.argv[1:]))
