"""What a portal answers a verifier: parsed, or the error that says why nothing can be learned from it."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from keyportal_client.credential import Credential
from keyportal_client.errors import PortalAwayError, UnexpectedAnswerError
from keyportal_client.refusals import UNAVAILABLE, Refusal
from keyportal_client.times import time_of
from keyportal_client.verifying.cursor import Cursor
from keyportal_client.verifying.record import Record, record_of
from keyportal_client.verifying.store import Changes

MAX_RETRY_AFTER: Final = 60
LONG_PAUSE: Final = 5.0
"""Seconds for which nothing is asked at most, where asking again soon can't help."""
NOT_A_PORTAL: Final = "What answers at the portal's address is no portal that this version knows. Check the address."
SERVICE_KEY: Final = (
    "The portal refuses this service's own key ({code}). Ask its operators for one with the scope credentials:verify, "
    "and set it."
)
LIMITED: Final = (
    "The portal has reached its limit for this service: too many requests, or too many unknown credentials. Its "
    "operators can raise KEYPORTAL_LIMIT_SERVICE and KEYPORTAL_LIMIT_MISSES."
)
BUSY: Final = "The portal can't answer now (status {status}). Its operators find the cause in its log and at /readyz."
REDIRECT: Final = (
    "The portal's address leads to another one (status {status}), which this service's key is not sent to. Set "
    "KEYPORTAL_PORTAL to the address at the end."
)
QUESTION: Final = "The portal refuses a question of this service ({code}). Check the scopes' names, and both versions."
_CODE: Final = re.compile(r"[a-z_]{1,32}")


class Answer(NamedTuple):
    """What came back from the portal."""

    status: int
    retry_after: str
    """The value of that header; empty without."""
    body: bytes


class VerifyAnswer(NamedTuple):
    """What the portal says about one credential."""

    outcome: Credential | Refusal
    """Whose it is if it is good."""
    record: Record | None
    """What to judge it by from now on; None for nothing."""
    cursor: Cursor | None
    """Before which all changes are in the record; None if that is not known."""
    portal_time: float
    """Seconds since 1970."""


def parse_verify_answer(answer: Answer, needed: tuple[str, ...]) -> VerifyAnswer:
    """Return what the portal says about the credential. Raises `PortalAwayError`."""
    body = _json(answer, HTTPStatus.OK)
    try:
        record, is_good = record_of(body.get("record")), body["valid"] is True
        return VerifyAnswer(
            outcome=_credential(body["credential"]) if is_good else _refusal(body, needed),
            record=record,
            cursor=Cursor.parse(body["cursor"]) if body.get("cursor") is not None else None,
            portal_time=time_of(body["now"]).timestamp(),
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, UnexpectedAnswerError) as error:
        raise PortalAwayError(NOT_A_PORTAL, pause=LONG_PAUSE) from error


def parse_changes(answer: Answer) -> Changes:
    """Return an answer of the change feed. Raises `PortalAwayError`."""
    body = _json(answer, HTTPStatus.OK)
    try:
        tags = None if body.get("reset") is True else tuple(map(_text, body["tags"]))
        return Changes(Cursor.parse(body["cursor"]), _milliseconds(body["as_of_ms"]) / 1000, tags)
    except (KeyError, TypeError, ValueError, OverflowError, UnexpectedAnswerError) as error:
        raise PortalAwayError(NOT_A_PORTAL, pause=LONG_PAUSE) from error


def is_stored(answer: Answer) -> bool:
    """Return whether a batch of counts is stored; False if it never will be. Raises `PortalAwayError` if it may be."""
    if answer.status == HTTPStatus.BAD_REQUEST:
        return False  # too old by now, or of a version that the portal does not take
    _json(answer, HTTPStatus.ACCEPTED)
    return True


def _json(answer: Answer, expected: HTTPStatus) -> Mapping[str, Any]:
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    if answer.status == expected and isinstance(body, dict):
        return body
    raise _why_not(answer, body)


def _why_not(answer: Answer, body: object) -> PortalAwayError:
    status, code = answer.status, body.get("code") if isinstance(body, dict) else None
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return PortalAwayError(LIMITED, retry_after=_seconds(answer.retry_after))
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return PortalAwayError(REDIRECT.format(status=status), retry_after=int(LONG_PAUSE), pause=LONG_PAUSE)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return PortalAwayError(BUSY.format(status=status), retry_after=_seconds(answer.retry_after))
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return PortalAwayError(NOT_A_PORTAL, retry_after=int(LONG_PAUSE), pause=LONG_PAUSE)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return PortalAwayError(SERVICE_KEY.format(code=code), retry_after=int(LONG_PAUSE), pause=LONG_PAUSE)
    return PortalAwayError(QUESTION.format(code=code))


def _refusal(body: Mapping[str, Any], needed: tuple[str, ...]) -> Refusal:
    about = {str(name): value for name, value in body["about"].items() if name not in ("title", "scope", "retry_after")}
    code = body["code"]
    if code == UNAVAILABLE or not isinstance(code, str):
        raise PortalAwayError(NOT_A_PORTAL)
    scopes = needed if code == "insufficient_scope" else ()
    return Refusal(code, scopes, about, retry_after=int(body["about"].get("retry_after", 0)))


def _credential(sent: Mapping[str, Any]) -> Credential:
    expires_at = sent["expires_at"]
    return Credential(
        kind=_text(sent["kind"]),
        id=_text(sent["id"]),
        name=_text(sent["name"]),
        client_id=_text(sent["client_id"]),
        owner_id=_text(sent["owner"]),
        environment=_text(sent["environment"]),
        scopes=frozenset(map(_text, sent["scopes"])),
        expires_at=time_of(expires_at) if expires_at else None,
    )


def _milliseconds(value: object) -> int:
    if type(value) is not int or value < 0:  # a bool is an int to isinstance
        raise TypeError("not a number of milliseconds")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _seconds(retry_after: str) -> int:
    text = retry_after.strip()
    is_number = text.isascii() and text.isdecimal() and len(text) < len("10000")
    return max(1, min(int(text), MAX_RETRY_AFTER)) if is_number else 1
