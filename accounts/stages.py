"""The step of a log-in in which an address is confirmed, by the portal's own idea of what is confirmed."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.stages import EmailVerificationStage
from django.http import HttpResponse

from accounts import link_mail, links


class ConfirmationStage(EmailVerificationStage):  # type: ignore[misc]  # untyped
    """Lets in whose address is confirmed under the row seal; sends everybody else to their mailbox.

    After a sign-up with an address that is taken there is no user, and just as much work.
    """

    def handle(self) -> tuple[HttpResponse | None, bool]:
        """Return None to go on with the log-in, or the page that says where the link is.

        Raises `accounts.attempts.TooManyAttemptsError`.
        """
        user: Any = self.login.user
        if user is not None and user.is_confirmed:
            return None, True
        email = self.login.email or user.email
        if self.login.signup:  # whose form has counted it
            link_mail.send_sign_up(user=user, email=email)
        else:
            link_mail.enforce_limits(self.request, links.CONFIRM, email)
            link_mail.send_confirmation(user=user, email=email)
        return get_adapter().respond_email_verification_sent(self.request, user), True
