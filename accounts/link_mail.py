"""Messages with a link: the link is made, and its message written, in the transaction of the verb.

Each asks the same of the database, and sends one message, whether the address has an account or not: whoever sees the
portal from outside can't tell.
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
from accounts.undoing import issue_undo

FROM_ADDRESS: Final = AttemptLimit("KEYPORTAL_LIMIT_MAIL_FROM", "Too many messages were asked for from your network.")
TO_ADDRESS: Final = AttemptLimit(
    "KEYPORTAL_LIMIT_MAIL_TO",
    "We have sent several messages to this address. Please look for the newest one, also among the unwanted mail.",
)


def enforce_limits(request: HttpRequest, purpose: str, email: str) -> None:
    """Count a message that somebody asks for. Raises `accounts.attempts.TooManyAttemptsError`.

    Each purpose by itself: whoever signs up with somebody's address again and again must not use up the messages that
    let its owner in. By itself, before the transaction that makes the link: what is refused must stay counted.
    """
    FROM_ADDRESS.enforce(bucket_of(request))
    TO_ADDRESS.enforce(f"{purpose} {email}")


def send_sign_up(*, user: User | None, email: str) -> None:
    """Send the link that ends a sign-up; to an address that has an account already (no user), a message that says so.

    If that account waits for its confirmation, whoever reads the mailbox sets a password of their own, which confirms
    it: a link that only confirms would let in whoever was quicker to type the address.
    """
    holder = User.objects.filter(email=email, is_active=True).first()
    if user is None and holder is not None and not holder.is_confirmed:
        text = links.issue(links.RESET, user=holder, email=email, instead_of=links.CONFIRM)
        after_commit("account_unconfirmed", email, link_url=_reset_url(holder, text))
        return
    template = "account_already_exists" if user is None else "email_confirmation_signup"
    _send(links.CONFIRM, template, user=user, email=email, url="account_confirm_email")


def send_confirmation(*, user: User, email: str) -> None:
    """Send the link that confirms an address once more."""
    _send(links.CONFIRM, "email_confirmation", user=user, email=email, url="account_confirm_email")


def send_reset(*, user: User | None, email: str) -> None:
    """Send the link that sets a new password, or say that there is no account."""
    text = links.issue(links.RESET, user=user, email=email)
    template = "unknown_account" if user is None else "password_reset_key"
    after_commit(template, email, link_url=_reset_url(user, text) if user is not None else "")


def send_unlock(*, user: User | None, email: str) -> None:
    """Send the link that makes a browser a known place, or say that there is no account."""
    template = "unknown_account" if user is None else "unlock"
    _send(links.UNLOCK, template, user=user, email=email, url="account_unlock")


def send_change(*, user: User, email: str, taken: bool) -> None:
    """Send the link that confirms a new address, or say there that it belongs to another account."""
    template = "change_taken" if taken else "change"
    _send(links.CHANGE, template, user=user, email=email, url="account_confirm_change")


def send_undo(*, user: User, email: str) -> None:
    """Tell the address that was given up, with the link that takes it back."""
    text = issue_undo(user, email)
    after_commit("address_changed", email, link_url=absolute("account_undo_change", key=text))


def send_undone(*, lost: str, back: str, since: datetime) -> None:
    """Tell the address that lost the account, and the one that has it back: second factors since then are removed."""
    if lost != back:
        after_commit("address_lost", lost)
    after_commit("address_back", back, since=since)


def _send(purpose: str, template: str, *, user: User | None, email: str, url: str) -> None:
    text = links.issue(purpose, user=user, email=email)
    after_commit(template, email, link_url=absolute(url, key=text) if user is not None else "")


def _reset_url(user: User, text: str) -> str:
    return absolute("account_reset_password_from_key", uidb36=user.pk, key=text)


def after_commit(template: str, email: str, **context: Any) -> None:
    """Send a message of `templates/account/email/` when the transaction has committed."""
    urls = {"signup_url": absolute("account_signup"), "password_reset_url": absolute("account_reset_password")}
    send_after_commit(compose(f"account/email/{template}", email, {**urls, **context}), what=template)


def absolute(name: str, **arguments: str) -> str:
    """Return the address of a page under KEYPORTAL_URL, whatever host the request named."""
    base: str = settings.KEYPORTAL_URL
    return base + reverse(name, kwargs=arguments)
