"""The status that a page shows for a key: the one that matters most, and a hint on what to do about it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.contrib.humanize.templatetags.humanize import naturaltime
from django.utils import timezone

from apikeys.models import APIKey
from apikeys.usage import CallSeries

HIGH_REFUSAL_SHARE: Final = 0.1
"""Above this share of refused calls, the client that sends the key probably has a problem."""
MIN_CALLS: Final = 20
"""With fewer calls than this, the share of refusals says nothing."""
UNUSED_AFTER: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """A status for the list, with its level and a hint."""

    code: str
    """For comparisons."""
    label: str
    level: str
    """`good`, `warning` or `danger`: how it looks."""
    hint: str

    @property
    def is_revoked(self) -> bool:
        """Whether the key was ended for good."""
        return self.code == "revoked"

    @property
    def is_expired(self) -> bool:
        """Whether the key's time is over."""
        return self.code == "expired"

    @property
    def is_paused(self) -> bool:
        """Whether the key is paused."""
        return self.code == "paused"

    @property
    def is_stoppable(self) -> bool:
        """Whether the key can be paused."""
        return self.code not in ("revoked", "expired", "paused")

    @property
    def is_rotating(self) -> bool:
        """Whether the overlap of a rotation is running."""
        return self.code == "rotating"

    @property
    def expires_soon(self) -> bool:
        """Whether the key works now, and its time is over within days."""
        return self.code == "expires_soon"

    @property
    def is_active(self) -> bool:
        """Whether the key works, and there is nothing else to say about it."""
        return self.code == "active"


ACTIVE: Final = KeyStatus("active", "Active", "good", "Calls with this key are accepted.")
REVOKED: Final = KeyStatus(
    "revoked", "Revoked", "danger", "Calls with this key are refused. Create another key if you still need one."
)
EXPIRED: Final = KeyStatus(
    "expired", "Expired", "warning", "Calls with this key are refused. Set a later expiry to use it again."
)
PAUSED: Final = KeyStatus("paused", "Paused", "warning", "Calls with this key are refused until you resume it.")
ROTATING: Final = KeyStatus("rotating", "Rotating", "warning", "The former secret has not been used since.")
UNCONFIRMED: Final = KeyStatus(
    "unconfirmed", "Refused", "warning", "Calls are refused until you confirm your e-mail address."
)
EXPIRES_SOON: Final = KeyStatus(
    "expires_soon", "Expires soon", "warning", "Set a later expiry before then to keep using it."
)
MANY_REFUSALS: Final = KeyStatus(
    "many_refusals",
    "Many refusals",
    "danger",
    "More than a tenth of its calls in the last 30 days were refused.",
)
UNUSED: Final = KeyStatus(
    "unused", "Unused", "warning", "It hasn't been used for 30 days. Revoke it if you no longer need it."
)


class Overlap(NamedTuple):
    """The overlap of a rotation that is running."""

    ends_at: datetime | None
    last_used_at: datetime | None
    """When the former secret was last accepted; None for never."""


def key_status(  # one guard a status, the gravest first
    key: APIKey, *, confirmed: bool, calls: CallSeries, last_used_at: datetime | None, overlap: Overlap | None = None
) -> KeyStatus:
    """Return the status of a key, given its calls in the last 30 days."""
    if key.state in _OF_STATE:
        return _OF_STATE[key.state]
    if not confirmed:
        return UNCONFIRMED
    if overlap:
        return _rotating(overlap)
    if key.expires_soon:
        return EXPIRES_SOON
    if calls.calls >= MIN_CALLS and calls.refused > HIGH_REFUSAL_SHARE * calls.calls:
        return MANY_REFUSALS
    if (last_used_at or key.created_at) < timezone.now() - UNUSED_AFTER:
        return UNUSED
    return ACTIVE


def _rotating(overlap: Overlap) -> KeyStatus:
    if overlap.last_used_at is None:
        return ROTATING
    return replace(ROTATING, hint=f"The former secret was last used {naturaltime(overlap.last_used_at)}.")


_OF_STATE: Final = {status.code: status for status in (REVOKED, EXPIRED, PAUSED)}
