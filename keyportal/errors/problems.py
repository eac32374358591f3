"""The API's error format: problem details (RFC 9457) with a stable `code`, on all paths for machines."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, NotSupportedError, ProgrammingError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from rest_framework import exceptions
from rest_framework.views import set_rollback

from accounts.errors import IssuingSuspendedError
from accounts.times import rfc3339
from apikeys.errors import (
    AnswerDestroyedError,
    APIKeyError,
    BeyondCallerError,
    ChangedMeanwhileError,
    DifferentCallError,
    KeyEndedError,
    NotAllowedError,
    OverlapError,
    PausedByOperatorError,
    PauseEndError,
    PolicyError,
    RotatingError,
    ScopeNotAllowedError,
    StillRunningError,
    TooManyKeysError,
)
from credentials.permissions import CredentialRefused
from credentials.refusals import Refusal
from credentials.runtime.database_writes import database_writes
from credentials.verified_cache.feed import UnknownChangesError
from gateway.callers import CallerLimitError
from keyportal.errors.codes import CODES
from keyportal.errors.unavailable import log_unavailable, log_unknown_changes
from vault.errors import VaultError

NOT_SET_UP: Final = ("42501", "42P01", "42703")
"""PostgreSQL's codes if the role lacks a right, or migrations (a table, a column) are missing."""
RETRY_AFTER: Final = 2  # seconds; a restart of the database takes at least as long

OAUTH_ERRORS: Final[Mapping[int, str]] = {
    401: "invalid_client",
    429: "temporarily_unavailable",
    500: "server_error",
    503: "temporarily_unavailable",
}

_OF_EXCEPTION: Final[Mapping[type[Exception], str]] = {
    RequestDataTooBig: "too_large",
    SuspiciousOperation: "bad_request",
    Http404: "not_found",
    PermissionDenied: "permission_denied",
    exceptions.ParseError: "malformed_body",
    exceptions.PermissionDenied: "permission_denied",
    exceptions.NotFound: "not_found",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.NotAcceptable: "not_acceptable",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
    VaultError: "unavailable",
}


OF_VERB: Final[Mapping[type[APIKeyError], tuple[str, str]]] = {
    ScopeNotAllowedError: ("validation", "/scopes"),
    PauseEndError: ("validation", "/until"),
    PolicyError: ("validation", "/expires_at"),
    OverlapError: ("validation", "/overlap"),
    BeyondCallerError: ("permission_denied", ""),
    PausedByOperatorError: ("permission_denied", ""),
    NotAllowedError: ("permission_denied", ""),
    TooManyKeysError: ("limit_reached", ""),
    KeyEndedError: ("key_ended", ""),
    RotatingError: ("rotating", ""),
    ChangedMeanwhileError: ("changed_meanwhile", ""),
    StillRunningError: ("idempotency_running", ""),
    DifferentCallError: ("idempotency_mismatch", ""),
    AnswerDestroyedError: ("answer_destroyed", ""),
    APIKeyError: ("conflict", ""),
}
"""For each error of a verb of keys, the code of its problem and the member of the body that is at fault."""


@dataclass(frozen=True)
class Problem:
    """One error of the API."""

    code: str
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_refusal(cls, refusal: Refusal) -> "Problem":
        """Return the problem that says why a credential was refused, with its challenge."""
        has_challenge = refusal.reason.error or refusal.reason.status == HTTPStatus.UNAUTHORIZED
        headers = {"WWW-Authenticate": refusal.challenge()} if has_challenge else {}
        headers |= refusal.headers
        if refusal.retry_after:
            headers["Retry-After"] = str(refusal.retry_after)
        members: dict[str, Any] = dict(refusal.about)
        if refusal.pointer:
            members["errors"] = [{"pointer": refusal.pointer, "detail": refusal.reason.title}]
        return cls(refusal.code, members, headers)

    def response_for(self, path: str) -> HttpResponse:
        """Return the response in the format of the path: RFC 6749 §5.2 under /oauth/, else problem details."""
        return self.oauth_response() if path.startswith("/oauth/") else self.response()

    def oauth_response(self) -> HttpResponse:
        """Return the response in the format of OAuth (RFC 6749 §5.2)."""
        reason = CODES[self.code]
        error = OAUTH_ERRORS.get(reason.status, "invalid_request")
        body = {"error": error, "error_description": self.members.get("detail", reason.title)}
        headers = {"Cache-Control": "no-store", "Pragma": "no-cache", **self.headers}
        headers["Content-Type"] = "application/json"
        if self.code == "unavailable":
            headers.setdefault("Retry-After", str(RETRY_AFTER))
        return HttpResponse(json.dumps(body, ensure_ascii=False), status=reason.status, headers=headers)

    def response(self) -> HttpResponse:
        """Return the response as `application/problem+json`, never stored."""
        reason = CODES[self.code]
        body = {
            "type": settings.KEYPORTAL_URL + reverse("error", args=[self.code]),
            "title": reason.title,
            "status": reason.status,
            "detail": reason.advice,
            "code": self.code,
            **self.members,
        }
        headers = {"Cache-Control": "no-store", **self.headers}
        if self.code == "unavailable":
            headers.setdefault("Retry-After", str(RETRY_AFTER))
        headers["Content-Type"] = "application/problem+json"
        return HttpResponse(json.dumps(body, ensure_ascii=False), status=reason.status, headers=headers)


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """Return the response to an exception of an API view; None for a bug of the portal (which is logged, and a 500)."""
    problem = problem_of(exc, context["request"]._request)
    if problem is None:
        return None
    set_rollback()
    return problem.response()


def problem_of(exc: BaseException | None, request: HttpRequest | None = None) -> Problem | None:
    """Return the problem for an exception, or None if it has none."""
    if isinstance(exc, CredentialRefused):
        return Problem.of_refusal(exc.refusal)
    if isinstance(exc, (UnknownChangesError, CallerLimitError, IssuingSuspendedError)):
        return _of_wait(exc)
    if isinstance(exc, exceptions.NotAuthenticated) and request is not None:
        return Problem.of_refusal(Refusal(code=_without_credential(request)))
    if isinstance(exc, exceptions.ValidationError):
        return Problem("validation", {"errors": list(_with_pointers(exc.detail))})
    if isinstance(exc, APIKeyError):
        return _of_verb(exc)
    code = next((code for kind, code in _OF_EXCEPTION.items() if isinstance(exc, kind)), "")
    if exc is not None and is_of_the_database(exc):
        database_writes().on_error(exc)
        code = "unavailable"
    if exc is not None and code == "unavailable":
        log_unavailable(exc)
    return Problem(code) if code else None


def _of_wait(error: UnknownChangesError | CallerLimitError | IssuingSuspendedError) -> Problem:
    """Return the problem for what can't be had now: it says when to ask again and, if known, the end of the wait."""
    if isinstance(error, UnknownChangesError):
        log_unknown_changes()
        return Problem("unavailable")
    if isinstance(error, CallerLimitError):
        return Problem("unavailable", {"detail": str(error)}, {"Retry-After": str(error.retry_after)})
    end = error.suspension.until
    until = {"until": rfc3339(end)} if end else {}
    retry_after = {"Retry-After": str(error.suspension.retry_after)}
    return Problem("issuing_suspended", {"detail": str(error), **until}, retry_after)


def _of_verb(error: APIKeyError) -> Problem:
    """Return the problem for what a verb of keys refused, in its own words."""
    if isinstance(error, BeyondCallerError):
        return _beyond_caller(error)
    code, pointer = next(found for kind, found in OF_VERB.items() if isinstance(error, kind))
    return Problem(code, _in_words(error, pointer))


def _beyond_caller(error: BeyondCallerError) -> Problem:
    """Return the problem for what a caller may not give a key, which names the scopes that it lacks."""
    about = {**error.about, **_in_words(error, error.pointer)}
    if not error.scopes:
        return Problem("permission_denied", about)
    refused = Problem.of_refusal(Refusal(code="insufficient_scope", scopes=tuple(error.scopes)))
    return replace(refused, members=about)


def _in_words(error: APIKeyError, pointer: str) -> dict[str, Any]:
    """Return the members that say it in the words of the verb, and point at the member of the body."""
    errors = {"errors": [{"pointer": pointer, "detail": str(error)}]} if pointer else {}
    return {"detail": str(error), **errors}


def is_of_the_database(exc: BaseException) -> bool:
    """Return whether the fault is the database's and not the query's: unavailable, full, read-only, without tables.

    An error that depends on the query is not one of these: a row that already exists, a value out of range.
    """
    if isinstance(exc, ProgrammingError):
        return getattr(exc.__cause__, "sqlstate", "") in NOT_SET_UP
    ours = (IntegrityError, DataError, NotSupportedError)
    return isinstance(exc, (DatabaseError, InterfaceError)) and not isinstance(exc, ours)


def _without_credential(request: HttpRequest) -> str:
    """Return the code for a request without a Bearer credential, or for one that no authentication class accepted."""
    scheme = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")[0]
    return "invalid_token" if scheme.lower() == "bearer" else "missing_credential"


def _with_pointers(detail: Any, pointer: str = "") -> Iterator[dict[str, str]]:
    """Yield each message of a validation error with the JSON pointer (RFC 6901) of its field."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else "/" + str(name).replace("~", "~0").replace("/", "~1")
            yield from _with_pointers(inner, pointer + step)
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            nested = isinstance(inner, (Mapping, list))
            yield from _with_pointers(inner, f"{pointer}/{position}" if nested else pointer)
    else:
        yield {"pointer": pointer, "detail": str(detail)}
