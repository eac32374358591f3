"""How else the name of a header can be written, so that a program behind takes it for that name."""

from typing import Final

ODD: Final = "!#$%&'*+.^_`|~"
"""What a name may have beside letters, digits and the hyphen (RFC 9110 §5.6.2). CGI, WSGI and PHP read it as one."""


def spellings(name: str) -> list[str]:
    """Return the name, and every other one that folds onto it."""
    odd = [name.replace("-", character) for character in ODD]
    last = [character.join(name.rsplit("-", 1)) for character in ODD]
    return list(dict.fromkeys([name, name.lower(), name.upper(), name.swapcase(), *odd, *last]))


def forged_headers(*names: str, value: str = "forged") -> list[list[str]]:
    """Return what is sent in one request each: every spelling of the first name alone, and all of each name at once."""
    alone = [[f"{spelt}: {value}"] for spelt in spellings(names[0])]
    return [*alone, *([f"{spelt}: {value}" for spelt in spellings(name)] for name in names)]
