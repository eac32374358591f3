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
    if ":" in email or any(unicodedata.category(character) == "Cc" for character in email + password):
        raise CredentialError("An e-mail address has no colon, and neither it nor a password has control characters.")
    basic = base64.b64encode(f"{email}:{password}".encode()).decode()
    body = json.dumps({} if scopes is None else {"scope": " ".join(scopes)}).encode()
    return _tokens(transport, Call("POST", _PATH, {**_JSON, "Authorization": f"Basic {basic}"}, body))


def refresh(transport: Transport, refresh_token: str) -> Tokens:
    """Exchange a refresh token for the next pair of tokens. It is spent by this. Raises `KeyportalError`."""
    body = json.dumps({"refresh_token": refresh_token}).encode()
    return _tokens(transport, Call("POST", f"{_PATH}/refresh", _JSON, body))


def end_log_in(transport: Transport, access_token: str) -> None:
    """End a log-in, with all its tokens. An API key that is sent here would be revoked. Raises `KeyportalError`."""
    json_of(transport.send(Call("DELETE", _PATH, {"Authorization": f"Bearer {access_token}"})))


def _tokens(transport: Transport, call: Call) -> Tokens:
    return conform(json_of(transport.send(call)), Tokens)
