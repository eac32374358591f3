"""The Basic scheme of RFC 7617: user-id and password in UTF-8."""

import base64
import binascii
import unicodedata

from credentials.refusals import Refusal, RefusedError


def basic_credentials(header: str | None) -> tuple[str, str] | None:
    """Return user-id and password of an Authorization header, or None if it is missing or has another scheme.

    The first colon separates the two. Raises `RefusedError` with `invalid_login` for a Basic header that can't be
    parsed.
    """
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid_login() from None
    user_id, colon, password = text.partition(":")
    if not colon or any(unicodedata.category(character) == "Cc" for character in text):
        raise invalid_login()
    return user_id, password


def invalid_login() -> RefusedError:
    """Return the same refusal for a malformed header, an unknown user, a wrong password and an inactive account."""
    return RefusedError(Refusal(code="invalid_login", scheme="Basic"))
