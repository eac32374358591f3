"""The process's environment after the settings have been read."""

from collections.abc import MutableMapping
from typing import Final

SECRET_NAMES: Final = ("SECRET_KEY", "KEYPORTAL_", "DATABASE_URL", "CACHE_URL", "EMAIL_URL")


def forget_environment(environ: MutableMapping[str, str]) -> None:
    """Take our secrets, and all that could pass for a request header, out of the environment.

    Granian copies the whole environment into every WSGI environ, so into `request.META`: whatever keeps or prints META
    would keep or print the sealing keys; and a variable called HTTP_AUTHORIZATION would be everyone's credential.
    """
    for name in [name for name in environ if name.startswith((*SECRET_NAMES, "HTTP_"))]:
        del environ[name]
