"""Read the settings: the table of `keyportal/options/`, the environment, `.env`, and files that `NAME_FILE` names.

No value is ever shown. Each mistake is one line that names the setting and what it accepts.
"""

import io
import os
import re
import stat
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import environ

from keyportal.options import OPTIONS
from keyportal.options.kinds import BASE_DIR, MAX_LENGTH, UnsuitableError, refuse_unprintable, trim
from keyportal.options.option import Option
from keyportal.options.spelling import stray_names

ENV_FILE: Final = "KEYPORTAL_ENV_FILE"
OF_A_FILE: Final = "_FILE"
HELP: Final = "docs/configuration.md lists the settings, and `make run` writes a .env for this machine"
_ASSIGNMENT: Final = re.compile(r"(?:export )?[A-Za-z_0-9]+=.*")
_NOT_FOR_THE_PROCESS: Final = ("KEYPORTAL_", "HTTP_")


class ConfigurationError(Exception):
    """The settings can't be read. Has a line for each mistake, and no part of any value."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Configuration(NamedTuple):
    """The settings that were read."""

    values: dict[str, Any]
    """The value of every option, by its name."""
    given: frozenset[str]
    """The names of the options that are set."""
    stray: tuple[str, ...]
    """A sentence for each name that looks like a setting but is none."""
    for_the_process: dict[str, str]
    """Variables in `.env` that are not the portal's: libpq's certificates and the like."""
    files: dict[str, Path]
    """The file that each `NAME_FILE` names, by the name of the option."""


def configure(process: MutableMapping[str, str]) -> Configuration:
    """Return the settings of this process, or exit with a line for each mistake."""
    try:
        configuration = read_configuration(process)
    except ConfigurationError as error:
        lines = error.lines
    else:
        for name, value in configuration.for_the_process.items():
            process.setdefault(name, value)
        return configuration
    # Outside the handler, so that code that catches the exit finds no exception behind it.
    sys.exit("\n".join(f"keyportal: {line}" for line in lines))


def read_configuration(process: Mapping[str, str]) -> Configuration:
    """Return the settings. Raises `ConfigurationError`."""
    in_file = _read_env_file(process)
    given = {**in_file, **process}
    values: dict[str, Any] = {}
    mistakes = []
    for option in OPTIONS:
        try:
            values[option.name] = read_option(option, process if option.only_process else given)
        except UnsuitableError as error:
            mistakes.append(f"{error} (keyportal.{option.id})")
    stray = stray_names(process, in_file)
    if mistakes:
        raise ConfigurationError(*mistakes, *stray)
    names = {name.removesuffix(OF_A_FILE) for name in given}
    others = {name: value for name, value in in_file.items() if name.removesuffix(OF_A_FILE) not in values}
    others = {name: value for name, value in others.items() if not name.startswith(_NOT_FOR_THE_PROCESS)}
    files = {name: BASE_DIR / trim(given[name + OF_A_FILE]) for name in values if name + OF_A_FILE in given}
    return Configuration(values, frozenset(names & values.keys()), stray, others, files)


def read_option(option: Option, given: Mapping[str, str]) -> Any:
    """Return the value of an option. Raises `UnsuitableError`, which names the option."""
    of_a_file = option.name + OF_A_FILE
    if not option.only_process and of_a_file in given:
        if option.name in given:
            raise UnsuitableError(f"{option.name} and {of_a_file} are both set; set only one of them")
        content = _content(of_a_file, given[of_a_file])
        return parse(option, content, f"{option.name} (in the file that {of_a_file} names)")
    return parse(option, trim(given.get(option.name, option.default or "")), option.name)


def parse(option: Option, value: str, named: str) -> Any:
    """Return the value of a trimmed text. Raises `UnsuitableError`, which begins with the name given here."""
    if not value and option.default == "":
        return option.kind.nothing
    if not value and option.default is None:
        raise UnsuitableError(f"{named} is missing. {HELP}")
    try:
        return option.kind.parse(value)
    except UnsuitableError as error:
        raise UnsuitableError(f"{named} {error}") from None


def _content(name: str, path: str) -> str:
    """Return the trimmed text of the file that a setting names. Raises `UnsuitableError`."""
    try:
        text = trim(read_text(trim(path)))
    except UnsuitableError as error:
        raise UnsuitableError(f"{name} {error}") from None
    if not text:
        raise UnsuitableError(f"{name} must name a file that holds the value, but what it names is empty")
    return text


def read_text(path: str) -> str:
    """Return the content of a text file.

    Raises `UnsuitableError`, which does not name the file, because the path may be a secret.
    """
    refuse_unprintable(path)
    content = b""
    problem = "is not a file"
    try:
        if path and stat.S_ISREG((BASE_DIR / path).stat().st_mode):  # reading from a pipe would block
            with (BASE_DIR / path).open("rb") as file:
                content = file.read(MAX_LENGTH + 1)
            problem = ""
    except FileNotFoundError:
        problem = "does not exist"
    except OSError:
        problem = "can't be read by this user"
    if not problem and len(content) > MAX_LENGTH:
        problem = f"is longer than {MAX_LENGTH} bytes"
    if not problem:
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            problem = "is not text in UTF-8"
    raise UnsuitableError(f"must name a readable text file, but what it names {problem}")


def _read_env_file(process: Mapping[str, str]) -> dict[str, str]:
    """Return the values in `.env`, or in the file that KEYPORTAL_ENV_FILE names. Raises `ConfigurationError`."""
    named = ENV_FILE in process
    path = trim(process.get(ENV_FILE, ".env"))
    if not named and not os.path.lexists(BASE_DIR / path):
        return {}
    try:
        return parse_env_file(read_text(path))
    except UnsuitableError as error:
        problem = str(error)
    raise ConfigurationError(f"{ENV_FILE if named else 'The file .env beside manage.py'} {problem} (keyportal.E040)")


def parse_env_file(text: str) -> dict[str, str]:
    """Return the names and values of a `.env`, as django-environ reads it. Raises `UnsuitableError`."""
    lines = [line.strip() for line in text.splitlines()]
    for number, line in enumerate(lines, start=1):
        # django-environ would log the whole line.
        if line and not line.startswith("#") and not _ASSIGNMENT.fullmatch(line):
            raise UnsuitableError(f"must hold lines of NAME=value, and line {number} is not one")

    values: dict[str, str] = {}
    # By default it would write into the process's environment.
    reader: Any = type("Reader", (environ.Env,), {"ENVIRON": values})
    reader.read_env(io.StringIO("\n".join(lines)))
    return values
