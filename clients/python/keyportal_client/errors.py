"""What can go wrong between this client and a portal. Each error is one sentence that helps, and holds no secret."""

from collections.abc import Sequence
from typing import NamedTuple

from keyportal_client.refusals import Refusal


class KeyportalError(Exception):
    """The root of all errors of this package."""


class AddressError(KeyportalError):
    """An address that no credential is sent to."""


class PlainHTTPError(AddressError):
    """The address of another machine without TLS."""


class ConfigurationError(KeyportalError):
    """A verifier was not told which portal to ask, or with which key, or was told something that can't be meant."""


class CredentialError(KeyportalError):
    """A text that can't be a credential: nothing was sent."""


class NotLoggedInError(KeyportalError):
    """There is no credential for this portal, or the log-in has ended."""


class UnreachableError(KeyportalError):
    """The portal did not answer."""

    def __init__(self, message: str, *, was_sent: bool, was_dropped: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent
        """Whether the request may have reached the portal, and may have been carried out."""
        self.was_dropped = was_dropped
        """Whether the connection was cut before the answer was complete."""


class UnexpectedAnswerError(KeyportalError):
    """What answered is not a portal, or not a version that this client knows."""


class Fault(NamedTuple):
    """What is wrong with one member of a request."""

    pointer: str
    """The member, as a JSON pointer (RFC 6901)."""
    detail: str


class RefusedError(KeyportalError):
    """The portal answered no: a problem detail (RFC 9457)."""

    def __init__(
        self,
        title: str,
        *,
        status: int,
        code: str,
        detail: str = "",
        faults: Sequence[Fault] = (),
        scopes: Sequence[str] = (),
        retry_after: int | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(title)
        self.status = status
        self.code = code
        """The stable name of the reason: docs/errors.md of the portal."""
        self.detail = detail
        self.faults = tuple(faults)
        self.scopes = tuple(scopes)
        """The scopes that the call needs, if the credential lacks one of them."""
        self.retry_after = retry_after
        """After how many seconds it is worth trying again, if the portal says so."""
        self.request_id = request_id


class NotAuthenticatedError(RefusedError):
    """The credential is unknown, or has ended (401)."""


class RateLimitedError(RefusedError):
    """There were too many calls (429)."""


class UnavailableError(RefusedError):
    """The portal can't decide now (502, 503, 504). This says nothing about the credential."""


class PortalAwayError(KeyportalError):
    """The portal can't be asked, or what answers is none. This says nothing about any credential.

    The message is for the operators of the service, and says what to do.
    """

    def __init__(self, message: str, *, retry_after: int = 1, pause: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """After how many seconds a client should try again."""
        self.pause = pause
        """For how many seconds at most nothing else need be asked: there is no portal, or it knows no such service."""


class CredentialRefusedError(KeyportalError):
    """A request gets no further, because of its credential or because the portal can't say. The message is the code."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
        """What to answer: status, headers and body."""


class VerdictUnavailableError(CredentialRefusedError):
    """The portal can't say whether a credential is good (503). The client should keep it, and try again.

    The log of `keyportal_client` says why.
    """
