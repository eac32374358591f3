"""Reads keyportal/settings.py afresh under an environment of a test's own, and keeps everything that it printed."""

import io
import json
import logging
import os
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from types import CodeType
from typing import Any, NamedTuple
from unittest import mock

from keyportal.options import OPTIONS
from keyportal.options.kinds import UnsuitableError
from keyportal.options.option import Option
from tests.portal import ROOT
from tests.portal_configuration import empty_file
from vault.rings import new_entry
from vault.signing_keys import new_signing_jwk

SETTINGS = ROOT / "keyportal/settings.py"
SAMPLES = ("sample-text", "json", "30", "/srv/sample")
"""What is tried for a setting that has neither an example nor a default."""


class Reading(NamedTuple):
    """What came of reading the settings."""

    values: Mapping[str, Any] | None
    """The settings, or None if they were refused."""
    lines: list[str]
    """What was printed, logged, warned of, and said at the end."""

    def option(self, name: str) -> Any:
        """Return what an option was read as."""
        assert self.values is not None, self.lines
        return self.values["_given"][name]


@cache
def _settings() -> CodeType:
    """Return the settings module, compiled once: that takes as long as reading the settings."""
    return compile(SETTINGS.read_bytes(), SETTINGS, "exec")


@cache
def base() -> Mapping[str, str]:
    """Return an environment with everything that a production portal needs."""
    return {
        "SECRET_KEY": "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "KEYPORTAL_URL": "https://portal.example.org",
        "KEYPORTAL_SEALING_KEYS": new_entry("s1"),
        "KEYPORTAL_INDEX_KEYS": new_entry("i1"),
        "KEYPORTAL_SIGNING_KEYS": json.dumps({"keys": [new_signing_jwk("ES256")]}),
        "KEYPORTAL_ENV_FILE": str(empty_file()),
    }


def read_settings(*without: str, **changes: str) -> Reading:
    """Read the settings under the base environment, without some names and with these changes."""
    environment = {name: value for name, value in base().items() if name not in without} | changes
    printed, end = io.StringIO(), ""
    values: Mapping[str, Any] | None = None
    handler = logging.StreamHandler(printed)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with (
            mock.patch.dict(os.environ, environment, clear=True),
            redirect_stdout(printed),
            redirect_stderr(printed),
            warnings.catch_warnings(record=True) as warned,
        ):
            read: dict[str, Any] = {"__name__": "settings", "__file__": str(SETTINGS)}
            exec(_settings(), read)  # noqa: S102  # as an import would, thousands of times
            values = read
    except SystemExit as exit_:
        end = str(exit_.code)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    said = printed.getvalue() + end + "".join(str(warning.message) for warning in warned)
    return Reading(values, said.splitlines())


@cache
def sample(option: Option) -> str:
    """Return a value that an option takes."""
    for text in (option.example, option.default, *SAMPLES):
        if text and _is_taken(option, text):
            return text
    raise AssertionError(f"{option.name} needs an example in keyportal/options/")


def by_name(name: str) -> Option:
    """Return the option of a name."""
    return next(option for option in OPTIONS if option.name == name)


def _is_taken(option: Option, text: str) -> bool:
    try:
        option.kind.parse(text)
    except UnsuitableError:
        return False
    return True
