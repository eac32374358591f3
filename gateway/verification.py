"""One verdict for all endpoints of the gateway: which kind of credential a text is, and whether it is good."""

from collections.abc import Collection

from apikeys.verification import verify as verify_key
from audit.client_address import Address
from credentials.kinds import is_signed
from credentials.record import VerifiedRecord
from credentials.refusals import RefusedError
from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache.freshness import Lookup, get_or_load, may_query
from tokens.audiences import AudienceRequest
from tokens.verification import verify as verify_token


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
    try:
        if is_signed(text):
            return verify_token(
                text, address=address, environment=environment, scopes=scopes, audience=audience, lookup=lookup
            )
        return verify_key(text, address=address, environment=environment, scopes=scopes, lookup=lookup)
    except RefusedError as error:
        if may_query(lookup) or error.refusal.about:
            raise
        raise WouldBlockError from None  # same as for an unknown credential, whose checks are counted in a thread
