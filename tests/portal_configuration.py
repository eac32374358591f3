"""What a portal of the tests is configured with: its own folder, database, port and secrets."""

import json
import os
import secrets
from functools import cache
from pathlib import Path

import psycopg

from keyportal.options import OPTIONS
from tests import processes
from tests.folders import folder_of_this_process
from tests.ports import free_port
from vault.rings import new_entry
from vault.signing_keys import new_signing_jwk

ROOT = processes.ROOT
SETTINGS = {name for option in OPTIONS for name in (option.name, f"{option.name}_FILE")}
"""What the shell that started the tests may have: no portal of theirs reads it."""


@cache
def shared_folder() -> Path:
    """Return a folder for what all portals of a process share: static files, migrated databases. It goes with it."""
    return folder_of_this_process("keyportal-shared-")


@cache
def empty_file() -> Path:
    """Return a file without content, where a portal would look for its `.env`."""
    file = shared_folder() / "no.env"
    file.touch()
    return file


class PortalConfiguration:
    """The settings of one portal, and where it keeps what it writes."""

    threads = 8
    """Of each worker and kind."""
    python_path = str(ROOT / "tests" / "production")
    """What Python does first in each process. Benchmarks do without."""

    def __init__(self, folder: Path, database_url: str, *, host: str = "127.0.0.1", **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://{host}:{self.port}"
        self.outbox = folder / "outbox"
        self.log = folder / "server.log"
        self.environment = {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "KEYPORTAL_SEALING_KEYS": new_entry("s1"),
            "KEYPORTAL_INDEX_KEYS": new_entry("i1"),
            "KEYPORTAL_SIGNING_KEYS": json.dumps({"keys": [new_signing_jwk("ES256")]}),
            "KEYPORTAL_URL": self.url,
            "KEYPORTAL_LOCAL": "true",
            "KEYPORTAL_OUTBOX": str(self.outbox),
            "KEYPORTAL_STATIC_ROOT": str(shared_folder() / "static"),
            "KEYPORTAL_ENV_FILE": str(empty_file()),
            "DATABASE_URL": database_url,
            "KEYPORTAL_USAGE_FLUSH": "0.3",
            "KEYPORTAL_REQUEST_THREADS": str(self.threads),
            "KEYPORTAL_VERDICT_THREADS": str(self.threads),
            "KEYPORTAL_VERDICT_TIMEOUT": "30",  # a busy machine is slow and right
            "KEYPORTAL_REQUEST_TIMEOUT": "60",
            **environment,
        }

    @property
    def is_on_sqlite(self) -> bool:
        """Whether its database is SQLite; what the tests' own is says nothing of it."""
        return self.environment["DATABASE_URL"].startswith("sqlite")

    def _is_empty(self) -> bool:
        """Return whether the database has not been migrated."""
        url = self.environment["DATABASE_URL"]
        if url.startswith("sqlite"):
            return not Path(url.removeprefix("sqlite:///")).exists()
        with psycopg.connect(url) as connection:
            return connection.execute("SELECT to_regclass('django_migrations')").fetchone() == (None,)

    def _whole_environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in SETTINGS and not name.startswith(("KEYPORTAL_", "DJANGO_"))
        }
        ours = {"DJANGO_SETTINGS_MODULE": "keyportal.settings", "PYTHONPATH": self.python_path}
        return {**inherited, **ours, **self.environment}
