"""The process's environment after the settings have been read."""

from collections.abc import MutableMapping
from typing import Final

from keyportal.options import OPTIONS
from keyportal.options.reading import OF_A_FILE

_SECRETS: Final = frozenset(
    name for option in OPTIONS if option.secret for name in (option.name, option.name + OF_A_FILE)
)
_PREFIXES: Final = ("KEYPORTAL_", "HTTP_")


def forget_environment(environ: MutableMapping[str, str]) -> None:
    """Take our secrets, and all that could pass for a request header, out of the environment.

    Whatever keeps, prints or hands on the environment would keep or print the sealing keys; and under CGI's rules a
    variable called HTTP_AUTHORIZATION would be everyone's credential.
    """
    for name in [name for name in environ if name in _SECRETS or name.upper().startswith(_PREFIXES)]:
        del environ[name]
