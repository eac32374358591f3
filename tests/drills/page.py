"""The commands of docs/operations.md, as somebody would copy them from the page."""

import re
from typing import Final

from tests.processes import ROOT

PAGE: Final = ROOT / "docs/operations.md"
BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SOURCE: Final = "https://git.example.com/keyportal.git"
MAIL: Final = "smtp+tls://USER:PASSWORD@mail.example.com:587"
HOST: Final = "portal.example.com"
"""Stays as it is: the machine's own /etc/hosts knows it."""


def blocks(heading: str) -> list[str]:
    """Return the blocks of shell commands below a heading, in their order."""
    _, found, rest = PAGE.read_text().partition(f"\n{heading}\n")
    assert found, f"docs/operations.md has no heading {heading!r}"
    level = heading.partition(" ")[0]
    section = re.split(rf"^#{{2,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return BLOCK.findall(section)


def script(heading: str, **replaced: str) -> str:
    """Return all commands below a heading, with what stands for something of the reader's own replaced."""
    commands = "".join(blocks(heading))
    for name, value in {SOURCE: replaced["source"], MAIL: replaced["mail"]}.items():
        assert name in commands, f"no command has {name!r} any more"
        commands = commands.replace(name, value)
    return commands
