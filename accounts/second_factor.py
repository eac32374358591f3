"""Check whether an account has a second factor."""

from allauth.mfa.adapter import get_adapter

from accounts.models import User


def has_second_factor(user: User) -> bool:
    """Return whether this user's log-in needs more than the password: a code or a passkey."""
    return bool(get_adapter().is_mfa_enabled(user))
