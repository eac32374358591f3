"""Clean the process's environment after the settings have been read."""

from collections.abc import MutableMapping
from typing import Final

from keyportal.options import OPTIONS
from keyportal.options.reading import OF_A_FILE

_SECRETS: Final = frozenset(
    name for option in OPTIONS if option.secret for name in (option.name, option.name + OF_A_FILE)
)
_PREFIXES: Final = ("KEYPORTAL_", "HTTP_")
_OF_COLLECTORS: Final = ("OTEL_", "_HEADERS")
"""How names begin and end whose values authenticate at a collector, also those for metrics and logs."""


def forget_environment(environ: MutableMapping[str, str]) -> None:
    """Remove the portal's secrets, and everything that could pass for a request header, from the environment.

    Code that stores, prints or passes on the environment would expose the sealing keys. Under CGI's rules, a variable
    called HTTP_AUTHORIZATION would be the credential of every request.
    """
    for name in [name for name in environ if name in _SECRETS or _is_unwanted(name.upper())]:
        del environ[name]


def _is_unwanted(name: str) -> bool:
    begin, end = _OF_COLLECTORS
    return name.startswith(_PREFIXES) or (name.startswith(begin) and name.endswith(end))
