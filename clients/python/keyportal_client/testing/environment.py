"""The variables by which a service finds its portal."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from keyportal_client.testing.secret import new_secret

if TYPE_CHECKING:
    import pytest

URL: Final = "http://localhost:1"
"""Where nothing listens, and nothing leaves this machine."""
PORTAL: Final = "KEYPORTAL_PORTAL"
KEY: Final = "KEYPORTAL_KEY"


def set_where_unset() -> Callable[[], None]:
    """Name a portal that is not there, and a key, unless the environment names either; return what undoes it.

    For services that read the variables as soon as they are imported.
    """
    if PORTAL in os.environ or KEY in os.environ:
        return lambda: None
    os.environ.update({PORTAL: URL, KEY: new_secret("live")})
    return _unset


@contextmanager
def named(portal: str, key: str) -> Iterator[None]:
    """Name this portal and this key within the block."""
    before = {name: os.environ.get(name) for name in (PORTAL, KEY)}
    os.environ.update({PORTAL: portal, KEY: key})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


def remember(monkeypatch: "pytest.MonkeyPatch") -> None:
    """Have what the variables are now put back after the test.

    What a test changes of them by monkeypatch is undone when the portal in memory is gone: to what they were during it.
    """
    for name in (PORTAL, KEY):
        before = os.environ.get(name)
        monkeypatch.setenv(name, before or "")
        if before is None:
            del os.environ[name]


def _unset() -> None:
    for name in (PORTAL, KEY):
        os.environ.pop(name, None)
