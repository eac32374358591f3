"""Errors of account services. The middleware turns each into a page."""

from accounts.suspension import Suspension


class AccountsError(Exception):
    """Root of the errors in this module. Its text may be shown."""


class InvalidLinkError(AccountsError):
    """A mailed link was used, replaced by a newer one, forged or has expired; the user is not told which."""


class AddressTakenError(AccountsError):
    """The address belongs to another account by now, which has confirmed it."""


class LastOperatorError(AccountsError):
    """The account is the last one that can operate the portal."""


class IssuingSuspendedError(AccountsError):
    """Operators have suspended the issuing of credentials. Credentials that exist are not affected."""

    def __init__(self, suspension: Suspension) -> None:
        super().__init__(suspension.sentence)
        self.suspension = suspension


class SuspensionEndError(AccountsError):
    """A suspension can't end then."""
