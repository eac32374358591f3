"""Whether an account has a second factor."""

from allauth.mfa.adapter import get_adapter

from accounts.models import User


def has_second_factor(user: User) -> bool:
    """Tell whether a log-in of this user asks for more than the password: codes or a passkey."""
    return bool(get_adapter().is_mfa_enabled(user))
