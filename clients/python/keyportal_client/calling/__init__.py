"""Call an API whose keys a portal manages: send the credential to it alone, and wait where that helps.

`BearerAuth` is for httpx, `BearerAdapter` for requests (the extra `requests`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keyportal_client.calling.client_credentials import ClientCredentials
    from keyportal_client.calling.ending import KeyEndingWarning
    from keyportal_client.calling.httpx_auth import BearerAuth
    from keyportal_client.calling.login_tokens import LoginTokens
    from keyportal_client.calling.requests_adapter import BearerAdapter
    from keyportal_client.calling.retrying import RetryPolicy
    from keyportal_client.calling.token_file import TokenFile

__all__ = [
    "BearerAdapter",
    "BearerAuth",
    "ClientCredentials",
    "KeyEndingWarning",
    "LoginTokens",
    "RetryPolicy",
    "TokenFile",
]
_PLACES = {
    "BearerAdapter": "keyportal_client.calling.requests_adapter",
    "BearerAuth": "keyportal_client.calling.httpx_auth",
    "ClientCredentials": "keyportal_client.calling.client_credentials",
    "KeyEndingWarning": "keyportal_client.calling.ending",
    "LoginTokens": "keyportal_client.calling.login_tokens",
    "RetryPolicy": "keyportal_client.calling.retrying",
    "TokenFile": "keyportal_client.calling.token_file",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, and nothing before: each needs another library (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
