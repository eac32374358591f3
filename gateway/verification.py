"""One verdict for all endpoints of the gateway: which kind of credential a text is, and whether it is good."""

from collections.abc import Collection
from datetime import UTC, datetime

from apikeys.verification import find as find_key
from audit.client_address import Address
from credentials.kinds import is_signed
from credentials.record import VerifiedRecord, check_state
from credentials.refusals import Refusal, RefusedError
from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache.freshness import Lookup, get_or_load, may_query
from tokens.audiences import AudienceRequest
from tokens.verification import find as find_token


class GenuineRefusedError(RefusedError):
    """A credential of ours was refused, with its record."""

    def __init__(self, refusal: Refusal, record: VerifiedRecord) -> None:
        super().__init__(refusal)
        self.record = record


def verify_any(
    text: str,
    *,
    address: Address | None,
    environment: str | None = None,
    scopes: Collection[str] = (),
    audience: AudienceRequest = None,
    lookup: Lookup = get_or_load,
) -> VerifiedRecord:
    """Return the record of a key's secret or an access token that is good now, for all that the arguments require.

    `audience` applies to tokens; a key has none and is good for every service. Raises `RefusedError` with a code of
    `credentials.refusals`, `django.db.Error` if the database can't be queried, and `WouldBlockError` if `lookup` uses
    the cache alone and does not have the credential, or must not seem to know it.
    """
    record = find_any(text, audience=audience, lookup=lookup)
    try:
        check_state(record, at=datetime.now(UTC), address=address, environment=environment, scopes=scopes)
    except RefusedError as error:
        if error.refusal.about:
            raise GenuineRefusedError(error.refusal, record) from None
        if may_query(lookup):
            raise
        raise WouldBlockError from None  # same as for an unknown credential
    return record


def find_any(text: str, *, audience: AudienceRequest = None, lookup: Lookup = get_or_load) -> VerifiedRecord:
    """Return the record of a key's secret, or of an access token that has not expired. Raises as `verify_any` does."""
    try:
        if is_signed(text):
            return find_token(text, audience=audience, lookup=lookup)
        return find_key(text, lookup)
    except RefusedError as error:
        if may_query(lookup) or error.refusal.about:
            raise
        raise WouldBlockError from None  # checks of unknown credentials are counted, in a thread
