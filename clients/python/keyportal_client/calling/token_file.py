"""The tokens of a log-in, in a file that only its user can read. One process at a time changes it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from keyportal_client.calling.login_tokens import StoredTokens
from keyportal_client.conforming import conform
from keyportal_client.errors import NotLoggedInError, UnexpectedAnswerError
from keyportal_client.shapes import Token


class _Json(TypedDict):
    """What the file holds."""

    portal: str
    access_token: Token
    refresh_token: Token
    good_until: int | float


class TokenFile:
    """Keeps the tokens of one log-in."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).expanduser()

    def __repr__(self) -> str:
        return f"TokenFile({str(self._path)!r})"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Wait until no other process is at it. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._path.with_name(f"{self._path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def load(self) -> StoredTokens | None:
        """Return the tokens; None without a log-in. Raises `NotLoggedInError` if the file is damaged, OSError."""
        try:
            if self._path.stat().st_mode & 0o077:
                self._path.chmod(0o600)  # copied or restored by something that did not care
            held = conform(json.loads(self._path.read_text(encoding="utf-8")), _Json)
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError, UnexpectedAnswerError):
            raise NotLoggedInError("The file with the log-in is damaged. Log in again.") from None
        return StoredTokens(held["portal"], held["access_token"], held["refresh_token"], held["good_until"])

    def save(self, tokens: StoredTokens | None) -> None:
        """Replace the file as a whole, or remove it. Raises OSError."""
        if tokens is None:
            self._path.unlink(missing_ok=True)
            return
        new = self._path.with_name(f"{self._path.name}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(tokens._asdict(), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
