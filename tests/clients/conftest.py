"""What every test of the command may use."""

import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.clients.command import Command
from tests.portal import Portal

MANAGER = ("--scope", "keys:read", "--scope", "keys:write")


class Machine(NamedTuple):
    """A machine with a key that may manage keys, and the developer whose key it is."""

    command: Command
    email: str
    key: str
    secret: str


@pytest.fixture(autouse=True)
def _heed_interrupts() -> Iterator[None]:
    """Let Ctrl-C reach commands also if a shell has started the tests in the background, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """The command of a user who is not logged in, on a machine without a keyring."""
    return Command(tmp_path)


@pytest.fixture
def developer(portal: Portal, request: pytest.FixtureRequest) -> str:
    """The e-mail address of a developer of this test's own."""
    portal.forget_guesses()
    email = f"client-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}@example.com"
    portal.make_developer(email)
    return email


@pytest.fixture
def machine(portal: Portal, developer: str, tmp_path: Path) -> Machine:
    """A machine of the developer's."""
    key, secret = portal.make_key(developer, *MANAGER, name="manager")
    return Machine(Command(tmp_path, portal.url, KEYPORTAL_KEY=secret), developer, key, secret)
