"""Verdicts: from a record if there is one, else from the portal, step by step (`steps.py`)."""

import json
from collections.abc import Generator
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from keyportal_client.credential import Credential
from keyportal_client.errors import PortalAwayError
from keyportal_client.refusals import UNAVAILABLE, Refusal
from keyportal_client.verifying.answers import Answer, VerifyAnswer, parse_verify_answer
from keyportal_client.verifying.client_address import ClientAddress
from keyportal_client.verifying.clock import Clock
from keyportal_client.verifying.exchange import Call
from keyportal_client.verifying.flights import RECENT, SharedAnswer, SingleFlight
from keyportal_client.verifying.form import is_token, is_well_formed
from keyportal_client.verifying.health import PortalHealth
from keyportal_client.verifying.record import Record
from keyportal_client.verifying.record_check import check_record, lifetime_headers
from keyportal_client.verifying.reports import ACCEPTED, Reports
from keyportal_client.verifying.requirements import Requirements
from keyportal_client.verifying.screening import Screening
from keyportal_client.verifying.steps import Step, StepResult
from keyportal_client.verifying.store import Question, RecordStore

PATH: Final = "/api/v1/verify"
GOOD_ELSEWHERE: Final = ("insufficient_scope", "network_refused", "wrong_environment")

Outcome: TypeAlias = Credential | Refusal
Steps: TypeAlias = Generator[Step, StepResult, Outcome]


class VerificationRequest(NamedTuple):
    """What a request needs, and where it came from."""

    requirements: Requirements
    client: ClientAddress


class Verdicts:
    """What one verifier decides in one process. Thread-safe."""

    def __init__(self, service: str, audience: str | None, *, screening: Screening | None = None, now: Clock) -> None:
        self.store = RecordStore(now=now)
        self.reports = Reports(service)
        self.health = PortalHealth(now=now)
        self._audience = audience
        self._screening = screening
        self._flights = SingleFlight()

    def at_once(self, digest: bytes, wanted: VerificationRequest) -> Outcome | None:
        """Return the verdict from a record; None if the portal must be asked."""
        record = self.store.get(digest)
        return None if record is None or record.asks_each_time else self._judged(record, wanted)

    def ask(self, text: str, wanted: VerificationRequest) -> Steps:
        """Find out at the portal, or from the answer to a question about the same credential that is on its way."""
        digest = self.store.digest(text)
        if not is_well_formed(text):
            return Refusal("invalid_token")
        if self._screening and is_token(text) and not self.health.is_away:
            refusal = yield from self._screening.refuse(text, at=self.store.known_time())
            if refusal is not None:
                return refusal
        if self.store.get(digest) is None:
            return (yield from self._ask_together(text, digest, wanted))
        return (yield from self._ask(text, digest, wanted))[0]  # the portal counts each call

    def _judged(self, record: Record, wanted: VerificationRequest) -> Outcome:
        """Return the verdict about a record, and count it."""
        at, client = self.store.portal_time(), wanted.client
        refusal = check_record(record, wanted.requirements, at=at, address=client.address)
        if refusal is None:
            self.reports.count(at, ACCEPTED, record.counted_as, record.secret_id, client.text)
            return _announced(record, at)
        self.reports.count(at, refusal.code, record.counted_as)
        return refusal

    def _ask_together(self, text: str, digest: bytes, wanted: VerificationRequest) -> Steps:
        """Ask once for all who miss the same credential now."""
        flight, is_first = self._flights.join(digest)
        if is_first:
            return (yield from self._ask_for_all(text, digest, wanted))
        landed = yield flight
        if isinstance(landed, Record):
            return self._judged(landed, wanted)
        if isinstance(landed, Refusal):
            return landed
        return (yield from self._ask(text, digest, wanted))[0]

    def _ask_for_all(self, text: str, digest: bytes, wanted: VerificationRequest) -> Steps:
        """Ask, and give those who wait what they can use, however it ends."""
        landed: SharedAnswer = None
        try:
            outcome, landed = yield from self._ask(text, digest, wanted)
            return outcome
        finally:
            self._flights.land(digest, landed)

    def _ask(
        self, text: str, digest: bytes, wanted: VerificationRequest
    ) -> Generator[Step, StepResult, tuple[Outcome, SharedAnswer]]:
        """Ask the portal; return its verdict, and what others can use of the answer."""
        if wait := self.health.wait():
            return _unavailable(wait)
        question, found = self.store.begin(), None
        try:
            found = yield Call("POST", PATH, self._body(text, wanted))
        finally:
            if found is None:
                self.health.give_up()
        try:
            said = _said(found, wanted.requirements)
        except PortalAwayError as error:
            self.health.fail(error)
            return _unavailable(error.retry_after)
        self.health.succeed()
        return self._outcome(said), self._keep(digest, said, question)

    def _body(self, text: str, wanted: VerificationRequest) -> bytes:
        """Return what the portal is asked."""
        requirements = wanted.requirements
        needed = {"scopes": requirements.scopes, "environment": requirements.environment}
        asked_of = {"credential": text, "client_ip": wanted.client.text, "audience": self._audience, "record": True}
        return json.dumps({name: value for name, value in (asked_of | needed).items() if value}).encode()

    def _outcome(self, said: VerifyAnswer) -> Outcome:
        """Return the verdict as it would be from the record, which knows more than the answer says beside it."""
        outcome, record = said.outcome, said.record
        if record is None:
            return outcome
        if isinstance(outcome, Credential):
            return _announced(record, said.portal_time)
        if outcome.code in GOOD_ELSEWHERE:
            return replace(outcome, headers=lifetime_headers(record, said.portal_time))
        return outcome

    def _keep(self, digest: bytes, said: VerifyAnswer, question: Question) -> SharedAnswer:
        """Keep the record of an answer; return it if others can use it."""
        record, cursor = said.record, said.cursor
        if record is None or cursor is None:
            return None
        is_kept = self.store.put(digest, record, question, cursor=cursor, portal_time=said.portal_time)
        is_for_others = is_kept and not record.asks_each_time and self.store.age(question) < RECENT
        return record if is_for_others else None


def _said(found: StepResult, requirements: Requirements) -> VerifyAnswer:
    """Return what the portal said. Raises `PortalAwayError`."""
    if isinstance(found, Answer):
        return parse_verify_answer(found, requirements.scopes)
    raise found if isinstance(found, PortalAwayError) else TypeError("a call was answered with something else")


def _announced(record: Record, at: float) -> Credential:
    """Return the credential, with the headers that announce its end."""
    begin, end = record.valid_between
    if begin <= at < end:
        return record.credential
    headers = lifetime_headers(record, at)
    return replace(record.credential, headers=headers) if headers else record.credential


def _unavailable(retry_after: int) -> tuple[Refusal, Refusal]:
    refusal = Refusal(UNAVAILABLE, retry_after=retry_after)
    return refusal, refusal
