"""The state that a page shows for a key: the one that matters most, with advice on what to do about it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from apikeys.models import APIKey

MANY: Final = 0.1
"""Above this share of refused calls, the client that sends the key probably has a problem."""
FEW: Final = 20
"""With fewer calls than this, the share of refusals says nothing."""
LONG: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Advice:
    """A state for the list, its colour, and a sentence of advice."""

    state: str
    tone: str
    """`active`, `paused` (amber) or `revoked` (red)."""
    tip: str


ACTIVE: Final = Advice("Active", "active", "Calls with this key are accepted.")


def advice(  # one guard a state, the gravest first
    key: APIKey, *, confirmed: bool, calls: int, refused: int, last_used_at: datetime | None
) -> Advice:
    """Return the advice for a key, given its accepted and refused calls in the last 30 days."""
    if key.state == "revoked":
        return Advice(
            "Revoked", "revoked", "Calls with this key are refused. Create another key if you still need one."
        )
    if key.state == "expired":
        return Advice("Expired", "paused", "Calls with this key are refused. Set a later expiry to use it again.")
    if key.state == "paused":
        return Advice("Paused", "paused", "Calls with this key are refused for now.")
    if not confirmed:
        return Advice("Refused", "paused", "Calls are refused until you confirm your e-mail address.")
    if key.expires_soon:
        return Advice("Expires soon", "paused", "Set a later expiry before then to keep using it.")
    if calls >= FEW and refused > MANY * calls:
        return Advice("Many refusals", "revoked", "More than a tenth of its calls in the last 30 days were refused.")
    if (last_used_at or key.created_at) < timezone.now() - LONG:
        return Advice("Unused", "paused", "It hasn't been used for 30 days. Revoke it if you no longer need it.")
    return ACTIVE
