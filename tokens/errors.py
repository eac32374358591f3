"""Why a token is not issued. The views say it in problem details, or as RFC 6749 §5.2 does."""


class TokensError(Exception):
    """Root of every error that the verbs of this room raise."""


class InvalidGrantError(TokensError):
    """The refresh token is unknown, used, ended, expired, or another client's; whoever asks learns no more."""


class InvalidScopeError(TokensError):
    """A scope that was asked for can't be had."""


class InvalidTargetError(TokensError):
    """A resource that was asked for is none that tokens are given for, or not that of the log-in (RFC 8707 §2)."""


class NotYoursError(TokensError):
    """A client tried to end what was issued to another one."""
