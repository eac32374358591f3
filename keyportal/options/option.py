"""The definition of one setting."""

from dataclasses import dataclass

from keyportal.options.kinds import Kind


@dataclass(frozen=True, slots=True)
class Option:
    """A setting's name, what it accepts, and what it means."""

    name: str
    kind: Kind
    default: str | None
    """As an operator would write it. Empty: the setting is optional; None: it is required."""
    meaning: str
    secret: bool = False
    shown: str = ""
    """The default in the documentation, if it depends on other settings."""
    example: str = ""
    id: str = "E040"
    """The id of the system check that reports a wrong value."""
    only_process: bool = False
    """Whether only the process's environment counts, because other programs read the setting there too."""
