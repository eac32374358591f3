"""One answer for every door of this room: which kind of credential a text is, and whether it is good."""

from collections.abc import Collection
from datetime import UTC, datetime

from apikeys.verification import KeyRecord
from apikeys.verification import judge as judge_key
from apikeys.verification import verify as verify_key
from credentials.client_address import Address
from credentials.kinds import is_signed
from credentials.recall import Recall, WouldBlockError, recall
from credentials.refusals import RefusedError
from tokens.audiences import Asked
from tokens.verification import TokenRecord
from tokens.verification import judge as judge_token
from tokens.verification import verify as verify_token

Record = KeyRecord | TokenRecord


def verdict(
    text: str,
    *,
    address: Address | None,
    environment: str | None = None,
    scopes: Collection[str] = (),
    audience: Asked = None,
    by: Recall = recall,
) -> Record:
    """Give the record of a key's secret or an access token that is good now, from here, for this.

    `audience` is of tokens: a key has none, and is good for every service.
    Raises `RefusedError` with a code of `credentials.refusals`, `django.db.Error` when the database can't be asked, and
    where it is asked `by` memory alone `WouldBlockError`, also for what must look as if nobody knew it.
    """
    try:
        if is_signed(text):
            return verify_token(text, address=address, environment=environment, scopes=scopes, audience=audience, by=by)
        return verify_key(text, address=address, environment=environment, scopes=scopes, by=by)
    except RefusedError as error:
        if by is recall or error.refusal.about:
            raise
        raise WouldBlockError from None  # as for what memory does not know: whoever asks about that is counted


def judge(record: Record, *, address: Address | None) -> None:
    """Return if a record that `verdict` gave is good now, from here, for the portal. Raises `RefusedError`."""
    now = datetime.now(UTC)
    if isinstance(record, KeyRecord):
        judge_key(record, at=now, address=address, environment=None, scopes=())
    else:
        judge_token(record, at=now, address=address, environment=None, scopes=())
