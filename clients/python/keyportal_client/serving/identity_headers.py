"""The identity that a gateway passes on in plain headers: believed from gateways alone (`trusted_networks`)."""

import re
from typing import Final, TypeAlias

from keyportal_client.credential import Credential
from keyportal_client.refusals import Refusal
from keyportal_client.serving.incoming import Incoming

OWNER: Final = "X-Keyportal-Owner"
_SCOPE: Final = r"[a-z][a-z0-9_.:-]*"
_PATTERNS: Final = {
    "X-Keyportal-Key": re.compile(r"(key_[0-9A-Za-z]{1,60})?"),
    OWNER: re.compile(r"usr_[0-9A-Za-z]{1,60}"),
    "X-Keyportal-Scopes": re.compile(rf"({_SCOPE}( {_SCOPE})*)?"),
    "X-Keyportal-Environment": re.compile(r"live|test"),
    "X-Keyportal-Kind": re.compile(r"api_key|access_token"),
}
"""What the portal writes. Two values that a server has joined by a comma are not among it."""

Identity: TypeAlias = Credential | Refusal


def identity(incoming: Incoming) -> Identity:
    """Return who sent a request, as its gateway says. Raises `CredentialRefusedError` for a repeated header."""
    if incoming.value(OWNER) is None:
        return Refusal("missing_credential")
    # A gateway leaves out a header that would be empty: that of the key, for a log-in.
    said = {name: incoming.value(name) or "" for name in _PATTERNS}
    if not all(pattern.fullmatch(said[name]) for name, pattern in _PATTERNS.items()):
        return Refusal("malformed_request")
    key, owner, scopes, environment, kind = said.values()
    if kind == "api_key" and not key:
        return Refusal("malformed_request")
    return Credential(
        kind=kind,
        id=key or owner,
        name="",
        client_id=key or "portal",
        owner_id=owner,
        environment=environment,
        scopes=frozenset(scopes.split()),
        expires_at=None,
    )
