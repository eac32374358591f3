"""The operators' policies: read them, set them, and hold keys to them."""

from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from django.db import transaction
from django.utils import timezone

from apikeys.errors import PolicyError, TamperedPolicyError
from apikeys.models import Environment, KeyPolicy
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from integrity.sealed import swap, until_unchanged

GRACE: Final = timedelta(minutes=5)
"""How far ahead the clock of a program may be that counts the days itself."""


class Expiry(Enum):
    """An expiry that is not a time."""

    DEFAULT = "default"
    """What the policy sets for a key whose expiry nobody chose."""


def policy_of(environment: str) -> KeyPolicy:
    """Return the policy of an environment, which allows everything if operators set none.

    Raises `TamperedPolicyError` if the portal did not write it.
    """
    return policies(environment)[environment]


def policies(*environments: str) -> dict[str, KeyPolicy]:
    """Return the policies of these environments, by default of all, in one query. Raises as `policy_of` does."""
    wanted = environments or Environment.values
    found = {row.pk: row for row in KeyPolicy.objects.filter(pk__in=wanted)}
    if not all(row.seal_is_valid() for row in found.values()):
        raise TamperedPolicyError("This portal's policy was changed outside the portal. Contact an operator.")
    return {name: found.get(name) or KeyPolicy(environment=name) for name in wanted}


@transaction.atomic
def set_policy(*, policy: KeyPolicy, origin: Origin) -> None:
    """Set the policy of its environment. Keys that exist keep what they have until someone changes it.

    Raises `django.db.IntegrityError` for numbers that contradict each other.
    """
    bounds = {name: getattr(policy, name) for name in KeyPolicy.SEALED if name != "environment"}
    row, created = KeyPolicy.objects.get_or_create(pk=policy.pk, defaults=bounds)
    if not created:
        for current in until_unchanged(KeyPolicy, row.pk):
            # Every column is written, so nothing that was changed outside the portal is left to be sealed.
            if swap(current, bounds, ignore_tampering=True):
                break
    record_event(EventType.POLICY_CHANGED, subject=f"policy:{policy.pk}", origin=origin, **bounds)


def chosen_expiry(policy: KeyPolicy, expires_at: datetime | Expiry | None) -> datetime | None:
    """Return the expiry of a new key. Raises `PolicyError` if the policy does not allow it."""
    if isinstance(expires_at, Expiry):
        return policy.default_expiry
    refuse_expiry(policy, expires_at)
    return expires_at


def refuse_expiry(policy: KeyPolicy, expires_at: datetime | None) -> None:
    """Raise `PolicyError` if a key may not be given this expiry now."""
    latest = policy.latest_expiry
    if expires_at is None:
        if not policy.allows_never:
            raise PolicyError(f"{_keys(policy)} need an expiry.")
    elif expires_at <= timezone.now():
        raise PolicyError("This expiry is in the past.")
    elif latest is not None and expires_at > latest + GRACE:
        raise PolicyError(f"{_keys(policy)} can be valid for at most {policy.max_days} days from now.")


def _keys(policy: KeyPolicy) -> str:
    return f"{policy.get_environment_display()} keys"
