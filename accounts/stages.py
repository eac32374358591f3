"""The log-in stage that requires a confirmed address, by the confirmation under the user's row seal."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.stages import EmailVerificationStage
from django.http import HttpResponse
from typing_extensions import override

from accounts import link_mail, links


class ConfirmationStage(EmailVerificationStage):  # type: ignore[misc]  # untyped
    """The stage that lets in users whose address is confirmed under the row seal, and sends others to their mailbox.

    After a sign-up with a taken address there is no user, but the same amount of work.
    """

    @override
    def handle(self) -> tuple[HttpResponse | None, bool]:
        """Return None to go on with the log-in, or the page that says where the link was sent; each with True.

        Raises `accounts.attempts.TooManyAttemptsError`.
        """
        user: Any = self.login.user
        if user is not None and user.is_confirmed:
            return None, True
        email = self.login.email or user.email
        if self.login.signup:  # the sign-up form has counted it already
            link_mail.send_sign_up(user=user, email=email)
        else:
            link_mail.enforce_limits(self.request, links.CONFIRM, email)
            link_mail.send_confirmation(user=user, email=email)
        return get_adapter().respond_email_verification_sent(self.request, user), True
