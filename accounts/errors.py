"""Why something about an account could not be done. The middleware makes a page of each."""


class AccountsError(Exception):
    """Root of every error of this room. Its text may be shown."""


class LinkOverError(AccountsError):
    """The link of a message was used, replaced by a newer one, forged, or is too old; which of these is not told."""


class AddressTakenError(AccountsError):
    """The address belongs by now to an account that has confirmed it."""


class LastOperatorError(AccountsError):
    """Without this account nobody could operate the portal."""
