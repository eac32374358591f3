"""What a portal in memory knows: keys, changes, and calls."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime, timezone
from typing import Any, Final, NamedTuple

from keyportal_client.credential import Credential
from keyportal_client.refusals import Refusal
from keyportal_client.testing.change_log import ChangeLog
from keyportal_client.testing.records import SentRecord, rfc3339
from keyportal_client.testing.tokens import IssuedToken, issue
from keyportal_client.verifying.client_address import ClientAddress
from keyportal_client.verifying.record import Record, record_of
from keyportal_client.verifying.record_check import check_record
from keyportal_client.verifying.reports import ACCEPTED
from keyportal_client.verifying.requirements import Requirements

ENTRY_POINT: Final = "verify"
"""Under which the portal counts the calls that it was asked about."""
UNKNOWN: Final = Refusal("invalid_token")


class Verdict(NamedTuple):
    """What comes out, and what it was judged by."""

    refusal: Refusal | None
    record: Record | None
    sent: SentRecord | None
    """The record as it is sent."""

    @property
    def code(self) -> str:
        """Why the credential is refused; `ok` if it is not."""
        return self.refusal.code if self.refusal else "ok"

    @property
    def accepted(self) -> Credential | None:
        """Whose the credential is, if it is good."""
        return None if self.refusal or self.record is None else self.record.credential


class Calls(NamedTuple):
    """Calls that agree in this are counted together."""

    credential: str
    entry_point: str
    outcome: str


class State:
    """Everything behind the portal's answers. Thread-safe by its lock, which the thread that answers holds."""

    def __init__(self, url: str, *, now: Callable[[], float] = time.time) -> None:
        self.url = url
        self.lock = threading.RLock()
        self.log = ChangeLog()
        self.calls: Counter[Calls] = Counter()
        self.batches: set[str] = set()
        self.on_change: Callable[[], None] = lambda: None
        """Called after each change, to have those hear of it at once who would poll for it."""
        self._now = now
        self._records: dict[str, SentRecord] = {}
        self._tokens: dict[str, IssuedToken] = {}

    @property
    def seconds(self) -> float:
        """The time, in seconds since 1970."""
        return self._now()

    @property
    def now(self) -> datetime:
        """The same, in UTC."""
        return datetime.fromtimestamp(self._now(), timezone.utc)

    @property
    def as_of(self) -> dict[str, Any]:
        """Which moment an answer is of."""
        return {"cursor": self.log.cursor, "now": rfc3339(self.now)}

    def put(self, text: str, record: SentRecord) -> None:
        """Have a credential be known by its record."""
        with self.lock:
            self._records[text] = record

    def change(self, text: str, **members: Any) -> None:
        """Change members of a record, and announce it."""
        with self.lock:
            record = self._records[text]
            record.update(members)  # type: ignore[typeddict-item]  # named by this package's own verbs
            self.log.add(record["tags"][0])
        self.on_change()

    def issue(
        self, secret: str, *, scopes: Collection[str] | None = None, audience: str | None = None
    ) -> tuple[str, tuple[str, ...]]:
        """Return an access token for a key, and its scopes. Raises ValueError, `ConfigurationError`."""
        with self.lock:
            key, meant_for = self._records[secret], audience or self.url
            text, token = issue(secret, key, scopes=scopes, audience=meant_for, issuer=self.url, at=self._now())
            self._tokens[text] = token
        return text, token.scopes

    def knows(self, credential: str) -> bool:
        """Return whether there is a key or an owner with this id."""
        return any(credential in (record["key"], record["owner"]) for record in self._records.values())

    def verdict(
        self, text: str, requirements: Requirements, client: ClientAddress, *, audience: str | None = None
    ) -> Verdict:
        """Return the verdict about a credential. `audience` is the service that a token must be for."""
        sent = self._record(text, audience or self.url)
        record = record_of(sent)
        if sent is None or record is None:
            return Verdict(UNKNOWN, None, None)
        return Verdict(check_record(record, requirements, at=self._now(), address=client.address), record, sent)

    def _record(self, text: str, audience: str) -> SentRecord | None:
        """Return the record of a key, or of a token for this audience."""
        token = self._tokens.get(text)
        if token is None:
            return self._records.get(text)
        return token.record(self._records[token.key]) if token.audience == audience else None

    def count(self, verdict: Verdict) -> None:
        """Count a call that the portal was asked about."""
        if verdict.record is not None:
            outcome = ACCEPTED if verdict.accepted else verdict.code
            self.calls[Calls(verdict.record.counted_as, ENTRY_POINT, outcome)] += 1
