"""Resource indicators (RFC 8707 §2): the absolute URIs that name services."""

import re
from typing import Final

from vault.claims import MAX_TEXT

_PART: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
_HOST: Final = r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_ON_THE_WEB: Final = rf"https?://{_HOST}(?:/{_PART}*)?"
_ELSEWHERE: Final = rf"(?!https?:)[a-z][a-z0-9+.-]*:(?!//[^/?]*@){_PART}+"
_RESOURCE: Final = re.compile(rf"(?:{_ON_THE_WEB}|{_ELSEWHERE})(?:\?(?:{_PART}|\?)*)?")


def is_resource(text: str) -> bool:
    """Return whether a text is an absolute URI (RFC 3986 §4.3) that a token may name.

    It has no fragment and no user information; scheme and host are in lower case, because URIs are compared character
    by character.
    """
    return len(text) <= MAX_TEXT and _RESOURCE.fullmatch(text) is not None
