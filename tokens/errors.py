"""Errors that keep a token from being issued. Views answer with problem details or as in RFC 6749 §5.2."""


class TokensError(Exception):
    """Root of every error that the verbs of this app raise."""


class InvalidGrantError(TokensError):
    """The refresh token is unknown, used, ended, expired or another client's. The client is not told which."""


class InvalidScopeError(TokensError):
    """A requested scope can't be granted."""


class InvalidTargetError(TokensError):
    """The requested resource has no tokens, or is not the one that the log-in was for (RFC 8707 §2)."""


class NotYoursError(TokensError):
    """A client tried to revoke what was issued to another client."""
