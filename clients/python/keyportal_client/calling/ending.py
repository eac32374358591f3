"""Say once that a key, or the secret that is in use, is about to end: responses of the API announce it."""

import hashlib
import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Final

from keyportal_client.times import time_of

logger = logging.getLogger("keyportal_client")

REPLACED: Final = (
    "The secret of this API key was replaced{since}, and stops working{until}. Ask the key's owner for the new one."
)
EXPIRES: Final = "This API key expires{until}. Ask its owner to set a later date, or to create another."
_SECONDS: Final = re.compile(r"@(\d{1,11})", re.ASCII)
_process_key: Final = os.urandom(32)
_lock = threading.Lock()
_told: set[tuple[bytes, str]] = set()


class KeyEndingWarning(UserWarning):
    """A key that is in use is about to end."""


class Announcements:
    """What responses to one key announce. Thread-safe."""

    def __init__(self, key: str) -> None:
        self._digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), key=_process_key, digest_size=16).digest()

    def heed(self, headers: Mapping[str, str]) -> None:
        """Warn of what the headers of a response announce, each once for this key: in the log, and as a warning."""
        for kind, message in _announced(headers):
            with _lock:
                is_new = (self._digest, kind) not in _told
                _told.add((self._digest, kind))
            if is_new:
                logger.warning("keyportal: %s", message)
                warnings.warn(message, KeyEndingWarning, stacklevel=2)


def _announced(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the kind of each announcement, and a sentence about it. No header is quoted."""
    deprecation, sunset = headers.get("Deprecation", ""), headers.get("Sunset", "")
    if deprecation or sunset:
        yield "replaced", REPLACED.format(since=_on(_unix(deprecation)), until=_on(_date(sunset)))
    if expires := headers.get("X-Keyportal-Expires", ""):
        yield "expires", EXPIRES.format(until=_on(_rfc3339(expires)))


def _on(at: datetime | None) -> str:
    """Return a moment as a part of a sentence; nothing if it is not known."""
    return f" on {at.astimezone(timezone.utc):%Y-%m-%d at %H:%M} UTC" if at else ""


def _unix(text: str) -> datetime | None:
    found = _SECONDS.fullmatch(text.strip())
    return datetime.fromtimestamp(int(found[1]), timezone.utc) if found else None


def _date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
        return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _rfc3339(text: str) -> datetime | None:
    try:
        return time_of(text)
    except (ValueError, OverflowError):
        return None
