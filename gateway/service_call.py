"""A call of a service to one of the entry points for verifiers, and how far it has been processed."""

from abc import ABC, abstractmethod
from http import HTTPStatus
from typing import ClassVar

from audit.client_address import Address
from credentials.permissions import CredentialRefused
from credentials.record import VerifiedRecord
from credentials.refusals import RefusedError
from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache.freshness import Lookup, freshness, get_or_load, may_query
from gateway.caller_cache import CallerCache
from gateway.callers import authenticate_caller, authenticate_known_caller


class ServiceCall(ABC):
    """A call that needs the scope `credentials:verify`. The event loop tries first, then a thread goes on with it."""

    STATUS: ClassVar[HTTPStatus] = HTTPStatus.OK

    def __init__(
        self, authorization: str | None, query: str, address: Address | None, caller_cache: CallerCache | None = None
    ) -> None:
        self.authorization = authorization
        """The Authorization header; several lines are joined by commas."""
        self.query = query
        self.address = address
        """The address of the service."""
        self.caller_cache = caller_cache
        """What the event loop knows of this connection; None for a request that Django handles."""
        self.caller: VerifiedRecord | None = None
        """The service, once admitted, so that it is counted only once."""

    @abstractmethod
    def respond(self, lookup: Lookup = get_or_load) -> bytes:
        """Return the body of the response.

        Raises `CredentialRefused` about the service's own credential or after too many unknown ones,
        `CallerLimitError`, REST framework's `APIException` for an invalid request, `django.db.Error`, and
        `WouldBlockError` if `lookup` uses the cache alone.
        """

    def authenticate(self, lookup: Lookup = get_or_load) -> VerifiedRecord:
        """Return the service's record, which needs the scope `credentials:verify`. Raises as `respond` does."""
        if self.caller is None:
            header, query, address = self.authorization, self.query, self.address
            try:
                if self.caller_cache is None or may_query(lookup):
                    self.caller = authenticate_caller(header, query, address=address, lookup=lookup)
                else:
                    self.caller = authenticate_known_caller(header, query, address, self.caller_cache)
            except RefusedError as error:
                if not may_query(lookup) and not freshness().is_known_current():
                    raise WouldBlockError from None  # only a thread can find out whether the portal may answer at all
                raise CredentialRefused(error.refusal) from None
        return self.caller
