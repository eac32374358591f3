"""What a diagnosis consists of, for all of its formats."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Self


class Level(StrEnum):
    """How much a finding matters. The value is part of the JSON and of a pill's class."""

    label: str

    def __new__(cls, value: str, label: str) -> Self:
        """Return a member; it equals its value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        return member

    GOOD = "good", "OK"
    INFO = "info", "Note"
    WARNING = "warning", "Check"
    DANGER = "danger", "Problem"


class Finding(NamedTuple):
    """One thing about the request: what the portal saw, and what to do about it."""

    about: str
    code: str
    """What programs may compare; the sentences may change."""
    level: Level
    seen: str
    """A sentence without any value of a header; of what was sent, only the client's address is shown."""
    advice: str = ""
    """Empty if there is nothing to do."""


class Diagnosis(NamedTuple):
    """What the portal received."""

    request_id: str
    at: datetime
    client_address: str
    """Empty if there is none."""
    scheme: str
    findings: list[Finding]
    diagnose_command: str
    """The command that asks for a diagnosis, with the credential in the variable API_KEY."""
    json_command: str
    """The same for the answer in JSON."""
    verify_command: str
    """The command that tells whether the credential is valid."""

    def members(self) -> dict[str, object]:
        """Return the members of the answer in JSON."""
        return {
            "request_id": self.request_id,
            "at": self.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "client_address": self.client_address or None,
            "scheme": self.scheme,
            "findings": [finding._asdict() for finding in self.findings],
            "verify_command": self.verify_command,
        }
