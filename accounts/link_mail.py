"""Messages with a link. The link is made and its message stored in the caller's transaction.

Each function does the same queries and sends one message whether the address has an account or not, so that an outside
observer can't tell.
"""

from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from accounts import links
from accounts.attempts import AttemptLimit
from accounts.mail import compose
from accounts.models import User
from accounts.pending import send_after_commit
from accounts.places import bucket_of
from accounts.undo_links import issue_undo

FROM_ADDRESS: Final = AttemptLimit("KEYPORTAL_LIMIT_MAIL_FROM", "Too many messages were requested from your network.")
TO_ADDRESS: Final = AttemptLimit(
    "KEYPORTAL_LIMIT_MAIL_TO",
    "We have already sent several messages to this address. Look for the most recent one, also in your spam folder.",
)


def enforce_limits(request: HttpRequest, purpose: str, email: str) -> None:
    """Count a message that a client asks for. Raises `accounts.attempts.TooManyAttemptsError`.

    Each purpose is counted by itself, so that repeated sign-ups with an owner's address do not use up the messages that
    let the owner in. Call it before the transaction that makes the link, so that a refused attempt stays counted.
    """
    FROM_ADDRESS.enforce(bucket_of(request))
    TO_ADDRESS.enforce(f"{purpose} {email}")


def send_sign_up(*, user: User | None, email: str) -> None:
    """Send the link that completes a sign-up. If the address has an account already (`user` is None), say so instead.

    If that account is unconfirmed, send the link for a new password, which confirms it as well: a link that only
    confirms would let in the stranger who typed the address first.
    """
    holder = User.objects.filter(email=email, is_active=True).first()
    if user is None and holder is not None and not holder.is_confirmed:
        text = links.issue(links.RESET, user=holder, email=email, instead_of=links.CONFIRM)
        after_commit("account_unconfirmed", email, link_url=_reset_url(holder, text))
        return
    template = "account_already_exists" if user is None else "email_confirmation_signup"
    _send(links.CONFIRM, template, user=user, email=email, url="account_confirm_email")


def send_confirmation(*, user: User, email: str) -> None:
    """Send the link that confirms an address again."""
    _send(links.CONFIRM, "email_confirmation", user=user, email=email, url="account_confirm_email")


def send_reset(*, user: User | None, email: str) -> None:
    """Send the link for a new password; without a user, a message that there is no account."""
    text = links.issue(links.RESET, user=user, email=email)
    template = "unknown_account" if user is None else "password_reset_key"
    after_commit(template, email, link_url=_reset_url(user, text) if user is not None else "")


def send_unlock(*, user: User | None, email: str) -> None:
    """Send the link that makes a browser a known place; without a user, a message that there is no account."""
    template = "unknown_account" if user is None else "unlock"
    _send(links.UNLOCK, template, user=user, email=email, url="account_unlock")


def send_change(*, user: User, email: str, taken: bool) -> None:
    """Send the link that confirms a new address; if that is taken, a message that it belongs to another account."""
    template = "change_taken" if taken else "change"
    _send(links.CHANGE, template, user=user, email=email, url="account_confirm_change")


def send_undo(*, user: User, email: str) -> None:
    """Notify the address that was given up, with a link that takes it back."""
    text = issue_undo(user, email)
    after_commit("address_changed", email, link_url=absolute("account_undo_change", key=text))


def send_undone(*, lost: str, back: str, since: datetime) -> None:
    """Notify the address that lost the account and the one that has it back. Factors added since then are removed."""
    if lost != back:
        after_commit("address_lost", lost)
    after_commit("address_back", back, since=since)


def _send(purpose: str, template: str, *, user: User | None, email: str, url: str) -> None:
    text = links.issue(purpose, user=user, email=email)
    after_commit(template, email, link_url=absolute(url, key=text) if user is not None else "")


def _reset_url(user: User, text: str) -> str:
    return absolute("account_reset_password_from_key", uidb36=user.pk, key=text)


def after_commit(template: str, email: str, **context: Any) -> None:
    """Send a message from `templates/account/email/` once the transaction has committed."""
    urls = {"signup_url": absolute("account_signup"), "password_reset_url": absolute("account_reset_password")}
    send_after_commit(compose(f"account/email/{template}", email, {**urls, **context}), what=template)


def absolute(name: str, **arguments: str) -> str:
    """Return the URL of a page under KEYPORTAL_URL, whatever the request's Host header was."""
    base: str = settings.KEYPORTAL_URL
    return base + reverse(name, kwargs=arguments)
