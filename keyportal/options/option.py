"""One setting."""

from dataclasses import dataclass

from keyportal.options.kinds import Kind


@dataclass(frozen=True, slots=True)
class Option:
    """A setting's name, what it takes, and what it means."""

    name: str
    kind: Kind
    default: str | None
    """As somebody would write it. Empty: it may be left out; None: it may not."""
    meaning: str
    secret: bool = False
    shown: str = ""
    """The default in the documentation, where it is worked out from others."""
    example: str = ""
    id: str = "E040"
    """Of the system check that tells of a wrong value."""
    only_process: bool = False
    """Whether it counts in the process's environment only, because somebody else reads it there as well."""
