"""What a policy means for a form: the expiries that it offers, and its bounds in words."""

from collections.abc import Mapping
from typing import Final

from apikeys.models import APIKey, KeyPolicy
from apikeys.services.policies import Expiry

PRESETS: Final = {"7": 7, "30": 30, "90": 90, "365": 365}
"""The expiries that a form offers, in days."""
LABELS: Final = {"7": "In 7 days", "30": "In 30 days", "90": "In 90 days", "365": "In a year"}


def expiry_choices(policies: Mapping[str, KeyPolicy], key: APIKey | None) -> list[tuple[str, str]]:
    """Return the expiries to choose from: those that a policy allows, and what the key has; the default first."""
    every = policies.values()
    reach = None if any(policy.max_days is None for policy in every) else max(policy.max_days or 0 for policy in every)
    choices = [(value, LABELS[value]) for value, days in PRESETS.items() if reach is None or days <= reach]
    has_never = key is not None and key.expires_at is None
    if has_never or any(policy.allows_never for policy in every):
        choices.insert(0, ("never", "Never"))
    if key is None and any(policy.default_days for policy in every):
        choices.insert(0, (Expiry.DEFAULT.value, f"By default ({_defaults(policies)})"))
    return [*choices, ("date", "On a date")]


def policy_sentence(policy: KeyPolicy) -> str:
    """Return the policy's bounds in words, such as `Live keys: valid for at most 90 days.`; empty if it has none."""
    bounds = []
    if policy.max_days is not None:
        bounds.append(f"an expiry at most {_days(policy.max_days)} ahead")
    if not policy.allows_never:
        bounds.append("always an expiry")
    if policy.max_keys is not None:
        bounds.append(f"at most {policy.max_keys}")
    if not policy.allows_reveal:
        bounds.append("secrets shown once and not stored")
    return f"{policy.get_environment_display()} keys: {', '.join(bounds)}." if bounds else ""


def _defaults(policies: Mapping[str, KeyPolicy]) -> str:
    texts = {
        name: f"in {_days(policy.default_days)}" if policy.default_days else "never"
        for name, policy in policies.items()
    }
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return ", ".join(f"{name} {text}" for name, text in texts.items())


def _days(days: int) -> str:
    return f"{days} day{'' if days == 1 else 's'}"
