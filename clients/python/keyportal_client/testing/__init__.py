"""A portal in memory, to test a service that checks keys: no server, no socket, no wait.

The pytest plugin has it as the fixture `keyportal`; elsewhere, use `in_memory_portal`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keyportal_client.testing.api_key import ApiKey
    from keyportal_client.testing.installed import in_memory_portal
    from keyportal_client.testing.portal import InMemoryPortal

__all__ = ["ApiKey", "InMemoryPortal", "in_memory_portal"]
_PLACES = {
    "ApiKey": "keyportal_client.testing.api_key",
    "InMemoryPortal": "keyportal_client.testing.portal",
    "in_memory_portal": "keyportal_client.testing.installed",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, and nothing before: tests that don't use it start no later (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
