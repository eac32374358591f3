"""Records, cursors and secrets as a portal gives them."""

import json
from typing import Any, Final

from keyportal_client.verifying.cursor import Cursor
from keyportal_client.verifying.record import Record, record_of
from tests.portal import ROOT
from vault.secret_format import new_secret

NOW: Final = "2026-03-01T11:00:00Z"
SECONDS: Final = 1772362800.0
"""The same, since 1970."""
VERDICTS: Final[dict[str, Any]] = json.loads((ROOT / "clients/verdicts.json").read_text())
OF_A_KEY: Final[dict[str, Any]] = VERDICTS["records"]["key: good"]
OF_A_LOG_IN: Final[dict[str, Any]] = VERDICTS["records"]["token of a log-in: good"]
KEY: Final[str] = OF_A_KEY["id"]
OWNER: Final[str] = OF_A_KEY["owner"]


def a_secret() -> str:
    """Return a secret that is well formed."""
    return new_secret("kp", "live")


def a_record(**changed: Any) -> Record:
    """Return the record of a key, with other members where named."""
    record = record_of(OF_A_KEY | changed)
    assert record is not None
    return record


def cursor(number: int, identity: str = "0123456789abcdef") -> Cursor:
    """Return a cursor of the feed."""
    return Cursor.parse(f"{identity}.{number}.0.ab")
