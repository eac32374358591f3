"""What a policy means for the keys that exist, and whether a new one allows more than the one before."""

from typing import Final, NamedTuple

from django.db.models import Count, Q

from apikeys.models import APIKey, KeyPolicy
from apikeys.services.policies import GRACE

BOUNDS: Final = ("max_days", "default_days", "max_keys")
"""The columns of a policy where a greater number allows more, and none anything."""


class OutsideKeys(NamedTuple):
    """How much that exists is outside a policy. It stays as it is until its owner changes it."""

    never: int
    """Keys without an expiry, where the policy wants one."""
    late: int
    """Keys that expire later than could be set today."""
    crowded: int
    """Developers who have more keys than the policy allows."""

    @property
    def keys(self) -> int:
        """The number of keys."""
        return self.never + self.late

    @property
    def words(self) -> str:
        """What is outside, in words; empty if nothing is."""
        parts = [
            f"{_counted(self.never, 'key')} without an expiry",
            f"{_counted(self.late, 'key')} with a later expiry",
            f"{_counted(self.crowded, 'developer')} with more keys",
        ]
        return ", ".join(part for part, count in zip(parts, self, strict=True) if count)


def outside_keys(policy: KeyPolicy) -> OutsideKeys:
    """Return what is outside a policy, of the keys of its environment that are neither revoked nor expired."""
    of_environment = APIKey.objects.filter(environment=policy.pk)
    latest = policy.latest_expiry
    late = Q(expires_at__gt=latest + GRACE) if latest else Q(pk__in=())
    counts: dict[str, int] = of_environment.alive().aggregate(
        never=Count("pk", filter=Q(expires_at=None)), late=Count("pk", filter=late)
    )
    never = 0 if policy.allows_never else counts["never"]
    return OutsideKeys(never, counts["late"], _crowded(policy))


def allows_more(policy: KeyPolicy, before: KeyPolicy) -> bool:
    """Return whether a policy allows anything that the one before did not.

    Code that acts for a person must then require a fresh log-in. What a row allowed that the portal did not write is
    unknown.
    """
    if not before._state.adding and not before.seal_is_valid():
        return True
    gained = any(getattr(policy, name) and not getattr(before, name) for name in ("allows_never", "allows_reveal"))
    return gained or any(_is_greater(getattr(policy, name), getattr(before, name)) for name in BOUNDS)


def _crowded(policy: KeyPolicy) -> int:
    if policy.max_keys is None:
        return 0
    owners = APIKey.objects.filter(environment=policy.pk, revoked_at=None).values("owner").order_by()
    return owners.annotate(count=Count("pk")).filter(count__gt=policy.max_keys).count()


def _is_greater(bound: int | None, before: int | None) -> bool:
    return before is not None and (bound is None or bound > before)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
