"""Clients of keyportal, the developer portal for API keys.

`Verifier` and `AsyncVerifier` check the credentials that your API receives. `keyportal_client.api` has the client for
the management API, and `keyportal_client.cli` the command.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keyportal_client.credential import Credential
    from keyportal_client.errors import CredentialRefusedError, VerdictUnavailableError
    from keyportal_client.refusals import Refusal
    from keyportal_client.verifying.assertion_verifier import AssertionVerifier, AsyncAssertionVerifier
    from keyportal_client.verifying.async_verifier import AsyncVerifier
    from keyportal_client.verifying.verifier import Verifier

__version__ = "0.1.0"
__all__ = [
    "AssertionVerifier",
    "AsyncAssertionVerifier",
    "AsyncVerifier",
    "Credential",
    "CredentialRefusedError",
    "Refusal",
    "VerdictUnavailableError",
    "Verifier",
]
_PLACES = {
    "AssertionVerifier": "keyportal_client.verifying.assertion_verifier",
    "AsyncAssertionVerifier": "keyportal_client.verifying.assertion_verifier",
    "AsyncVerifier": "keyportal_client.verifying.async_verifier",
    "Credential": "keyportal_client.credential",
    "CredentialRefusedError": "keyportal_client.errors",
    "Refusal": "keyportal_client.refusals",
    "VerdictUnavailableError": "keyportal_client.errors",
    "Verifier": "keyportal_client.verifying.verifier",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, and nothing before: the command starts without what checks credentials (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
