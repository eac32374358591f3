"""Log in with a password, refresh, log out. None of these calls is ever repeated by itself."""

import base64
import json
import unicodedata
from collections.abc import Collection
from typing import Final

from keyportal_client.answers import json_of
from keyportal_client.conforming import conform
from keyportal_client.errors import CredentialError
from keyportal_client.shapes import Tokens
from keyportal_client.transport import Call, Transport

SCOPES: Final = ("keys:read", "keys:write")
"""What managing keys needs."""
_JSON: Final = {"Content-Type": "application/json"}
_PATH: Final = "/api/v1/tokens"


def log_in(transport: Transport, *, email: str, password: str, scopes: Collection[str] | None = SCOPES) -> Tokens:
    """Exchange an e-mail address and a password for tokens, with these scopes. Raises `KeyportalError`.

    None asks for all that the account may take, but for those that manage keys.
    """
    try:
        call = log_in_call(email=email, password=password, scopes=scopes)
    finally:
        del password  # what is raised has this frame
    return tokens_of(transport, call)


def refresh(transport: Transport, refresh_token: str) -> Tokens:
    """Exchange a refresh token for the next pair of tokens. It is spent by this. Raises `KeyportalError`."""
    call = Call("POST", f"{_PATH}/refresh", _JSON, json.dumps({"refresh_token": refresh_token}).encode())
    del refresh_token
    return tokens_of(transport, call)


def end_log_in(transport: Transport, access_token: str) -> None:
    """End a log-in, with all its tokens. An API key that is sent here would be revoked. Raises `KeyportalError`."""
    call = Call("DELETE", _PATH, {"Authorization": f"Bearer {access_token}"})
    del access_token
    json_of(transport.send(call))


def log_in_call(*, email: str, password: str, scopes: Collection[str] | None) -> Call:
    """Return the request that logs in. Raises `CredentialError` for what no account can have."""
    if ":" in email or any(unicodedata.category(character) == "Cc" for character in email + password):
        del password  # what is raised has this frame
        raise CredentialError("An e-mail address has no colon, and neither it nor a password has control characters.")
    basic = base64.b64encode(f"{email}:{password}".encode()).decode()
    body = json.dumps({} if scopes is None else {"scope": " ".join(scopes)}).encode()
    return Call("POST", _PATH, {**_JSON, "Authorization": f"Basic {basic}"}, body)


def tokens_of(transport: Transport, call: Call) -> Tokens:
    """Return the tokens that a call is answered with. Raises `KeyportalError`."""
    return conform(json_of(transport.send(call)), Tokens)
