"""Kinds of settings' values: how a text is parsed, and what the error says.

No message contains any part of a value, because a secret in the wrong place must not end up in a log.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parseaddr
from functools import partial
from pathlib import Path
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from audit.client_address import UNIX, parse_network
from credentials.limits.rate_limit_text import parse_rate_limit

BASE_DIR: Final = Path(__file__).resolve().parents[2]
HOUR: Final = 3600
DAY: Final = 24 * HOUR
MAX_LENGTH: Final = 64 * 1024
"""Characters of a ring, and bytes of a file that holds a value."""

_BLANKS: Final = " \t\r\n"
_FLAGS: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
_SEPARATORS: Final = re.compile(r"[,\r\n]")
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


class UnsuitableError(ValueError):
    """A value that its setting does not accept. Says what is expected, and contains no part of the value."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of value is parsed."""

    name: str
    """The name in the documentation."""
    expected: str
    """Completes “… must be”."""
    read: Callable[[str], Any] = str
    """Return the value of a text. Raises ValueError; only the text of an `UnsuitableError` is shown."""
    max_length: int = 200
    """Characters."""
    lines: bool = False
    """Whether the parts of a value may be on separate lines."""
    nothing: Any = ""
    """The value of an empty text, if the setting may be empty."""

    def parse(self, text: str) -> Any:
        """Return the value of a text. Raises `UnsuitableError`."""
        if not text:
            raise UnsuitableError(f"must be {self.expected}, but is empty")
        if len(text) > self.max_length:
            raise UnsuitableError(f"must be at most {self.max_length} characters long")
        refuse_unprintable(text, allowed=_BLANKS if self.lines else "")
        try:
            return self.read(text)
        except UnsuitableError:
            raise
        except ValueError:
            pass  # its text, and so its traceback, may hold the value
        raise UnsuitableError(f"must be {self.expected}")


def trim(text: str) -> str:
    """Return a text without surrounding blanks and line ends, which editors and shells leave behind."""
    return text.strip(_BLANKS)


def refuse_unprintable(text: str, *, allowed: str = "") -> None:
    """Raise `UnsuitableError` for control characters, line separators and bytes that are not UTF-8."""
    if any(unicodedata.category(character) in _UNPRINTABLE and character not in allowed for character in text):
        raise UnsuitableError("must be text in UTF-8 without control characters")


def text(name: str = "text", *, max_length: int = 200, lines: bool = False) -> Kind:
    """Return the kind of a text that is used as it is."""
    return Kind(name, "text", max_length=max_length, lines=lines)


def pattern(regex: str, name: str, expected: str) -> Kind:
    """Return the kind of a text that matches a regular expression."""
    return Kind(name, expected, partial(_match, re.compile(regex)))


def choice(*values: str) -> Kind:
    """Return the kind of one word out of several."""
    named = " or ".join(f"`{value}`" for value in values)
    return Kind(named, " or ".join(values), partial(_match, re.compile("|".join(map(re.escape, values)))))


def flag() -> Kind:
    """Return the kind of a boolean."""
    return Kind("true or false", "true or false (also 1, 0, yes, no, on, off)", _flag)


def whole(minimum: int, maximum: int, unit: str = "") -> Kind:
    """Return the kind of a whole number within bounds."""
    expected = f"a whole number from {minimum} to {maximum}" + (f", in {unit}" if unit else "")
    parse = partial(_number, int, r"[0-9]{1,12}", minimum, maximum)
    return Kind(f"{unit or 'number'}, {minimum} to {maximum}", expected, parse)


def decimal(minimum: float, maximum: float, unit: str) -> Kind:
    """Return the kind of a number within bounds, with or without a fraction."""
    expected = f"a number from {minimum:g} to {maximum:g}, in {unit}, such as 1.5"
    parse = partial(_number, float, r"[0-9]{1,9}(\.[0-9]{1,9})?", minimum, maximum)
    return Kind(f"{unit}, {minimum:g} to {maximum:g}", expected, parse)


def list_of(kind: Kind, name: str) -> Kind:
    """Return the kind of several values, separated by commas or line ends."""
    return Kind(name, name, partial(_list, kind), max_length=MAX_LENGTH, lines=True, nothing=())


def ring() -> Kind:
    """Return the kind of a key ring. Check E001 reads its entries, so that `newkey` can run without them."""
    return Kind("key ring", "id:base64,id:base64", _ring, max_length=MAX_LENGTH, lines=True)


def networks() -> Kind:
    """Return the kind of a list of networks and addresses."""
    expected = "a network such as 10.0.0.0/8 (no host bits set) or an address"
    return list_of(Kind("network", expected, _network), "networks")


def proxies() -> Kind:
    """Return the kind of a list of networks, addresses, and the word for a Unix socket."""
    expected = f"a network such as 10.0.0.0/8 (no host bits set), an address, or {UNIX}"
    return list_of(Kind("network", expected, lambda given: given if given == UNIX else _network(given)), "networks")


def rate() -> Kind:
    """Return the kind of a rate: so many in a period of time."""
    return Kind("rate", "one rate limit, such as 100/minute or 30 per 5 minutes", _rate)


def path() -> Kind:
    """Return the kind of a file or folder. A relative path is resolved from the folder of `manage.py`."""
    return Kind("path", "a path", _path, max_length=4096)


def mailbox() -> Kind:
    """Return the kind of an e-mail address, with or without a name before it."""
    return Kind("e-mail address", "an e-mail address, such as Keys <keys@example.com>", _mailbox, max_length=320)


def _match(regex: re.Pattern[str], text: str) -> str:
    if not regex.fullmatch(text):
        raise ValueError
    return text


def _flag(text: str) -> bool:
    value = _FLAGS.get(text.lower())
    if value is None:
        raise ValueError
    return value


def _number(type_: type[float], form: str, minimum: float, maximum: float, text: str) -> float:
    # int() and float() also accept signs, underscores, exponents, and the digits of other scripts.
    value = type_(_match(re.compile(form), text))
    if not minimum <= value <= maximum:
        raise ValueError
    return value


def _entries(text: str) -> list[str]:
    return list(filter(None, map(trim, _SEPARATORS.split(text))))


def _list(kind: Kind, text: str) -> tuple[Any, ...]:
    values = []
    for position, entry in enumerate(_entries(text), start=1):
        try:
            values.append(kind.parse(entry))
        except UnsuitableError as error:
            raise UnsuitableError(f"is wrong in entry {position}, which {error}") from None
    return tuple(values)


def _ring(written: str) -> str:
    return ",".join(_list(text(max_length=MAX_LENGTH), written))


def _network(text: str) -> str:
    parse_network(text)
    return text


def _rate(text: str) -> str:
    parse_rate_limit(text)
    return text


def _path(text: str) -> str:
    if text.startswith("~"):
        raise UnsuitableError("must be a path, and ~ is not expanded in it")
    return str(BASE_DIR / text)


def _mailbox(text: str) -> str:
    _, address = parseaddr(text)
    try:
        EmailValidator(allowlist=["localhost"])(address)
    except ValidationError:
        raise ValueError from None
    if text != address and not text.endswith(f"<{address}>"):
        raise ValueError
    return text
