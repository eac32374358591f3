"""What a policy means for a form: the expiries that it offers, and its bounds in words."""

from collections.abc import Mapping
from typing import Final

from django.utils.text import get_text_list

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
        choices.insert(0, (Expiry.DEFAULT.value, f"Default ({_defaults(policies)})"))
    return [*choices, ("date", "On a date")]


def policy_sentence(policy: KeyPolicy) -> str:
    """Return the policy's bounds in words, such as `Live keys must expire within 90 days.`; empty if it has none."""
    within = "" if policy.max_days is None else f" within {_days(policy.max_days)}"
    bounds = []
    if not policy.allows_never:
        bounds.append(f"must expire{within}")
    elif within:
        bounds.append(f"expire{within} or never")
    if policy.max_keys is not None:
        bounds.append(f"are limited to {policy.max_keys}")
    if not policy.allows_reveal:
        bounds.append("show each secret only once")
    return f"{policy.get_environment_display()} keys {get_text_list(bounds, 'and')}." if bounds else ""


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
