"""Find names that look like a setting but are none, so that a misspelled one is reported."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from keyportal.options import OPTIONS

PREFIX: Final = "KEYPORTAL_"
SHOWN: Final = 80  # characters of a name
FORMER: Final = {"KEYPORTAL_LIMIT_ASKING": "KEYPORTAL_LIMIT_SERVICE"}
"""Settings that have another name now. The most similar name could be that of another limit."""
_LIKE: Final = 0.8
_OF_OTHERS: Final = re.compile(
    # Kubernetes sets these in every pod if a service is called keyportal; services and the command have their own
    # (clients/python/README.md), and so have the tests.
    r"KEYPORTAL_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)|KEYPORTAL_TEST_\w+"
    r"|KEYPORTAL_(PORTAL|KEY|ALLOW_HTTP|TIMEOUT|CONFIG_DIR)"
)


def stray_names(process: Mapping[str, str], in_file: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence for each name in the environment or in `.env` that has no effect."""
    known = [name for option in OPTIONS for name in (option.name, f"{option.name}_FILE")]
    sentences = [*_of_process(process, known), *_in_file(in_file, known)]
    return tuple(dict.fromkeys(sentences))


def _of_process(names: Mapping[str, str], known: list[str]) -> Iterator[str]:
    for name in names:
        if name.upper().startswith(PREFIX) and name not in known and not _OF_OTHERS.fullmatch(name):
            yield _sentence(name, _meant(name, known))


def _in_file(names: Mapping[str, str], known: list[str]) -> Iterator[str]:
    """Yield a sentence for each useless name in `.env`. The file is the portal's own, so every name is checked."""
    yield from _of_process(names, known)
    for name in names:
        meant = _meant(name, known)
        if meant and name not in known and not name.upper().startswith(PREFIX):
            yield _sentence(name, meant)
    for option in OPTIONS:
        if option.only_process and option.name in names:
            yield f"{option.name} has no effect in .env; set it in the environment that the server is started in"


def _meant(name: str, known: list[str]) -> list[str]:
    """Return the setting that a name probably stands for, or nothing."""
    upper = name.upper()
    return [FORMER[upper]] if upper in FORMER else get_close_matches(upper, known, n=1, cutoff=_LIKE)


def _sentence(name: str, meant: list[str]) -> str:
    shown = ascii(name[:SHOWN])[1:-1]
    return f"{shown} is not a setting of the portal" + (f"; you probably meant {meant[0]}" if meant else "")
