"""The origin of an action, its actor and addresses, which services need for the audit event."""

from dataclasses import dataclass
from typing import Self

from django.http import HttpRequest


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The actor of an event (`user:usr_…`, `command:createkey`, `system`), and the addresses that it came from."""

    actor: str
    address: str | None = None
    peer: str | None = None
    request_id: str = ""

    @classmethod
    def of_request(cls, request: HttpRequest, *, actor: str | None = None) -> Self:
        """Return the origin of a request. The actor is by default the logged-in user, or `anonymous`."""
        user = getattr(request, "user", None)
        named = f"user:{user.pk}" if user is not None and user.is_authenticated else "anonymous"
        return cls(
            actor=actor or named,
            address=request.META.get("REMOTE_ADDR") or None,
            peer=getattr(request, "peer_address", None) or None,
            request_id=getattr(request, "request_id", ""),
        )

    @classmethod
    def of_command(cls, name: str) -> Self:
        """Return the origin of a management command of this name."""
        return cls(actor=f"command:{name}")
