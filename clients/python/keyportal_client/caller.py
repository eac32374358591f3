"""Calls with a credential: renewed when it has expired, repeated when the connection was cut."""

import json
import re
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlencode

from keyportal_client.answers import json_of
from keyportal_client.errors import (
    CredentialError,
    NotAuthenticatedError,
    RefusedError,
    UnavailableError,
    UnreachableError,
)
from keyportal_client.transport import Call, Transport

PAUSES: Final = (0.3, 1.0)
"""Seconds before the second and the third try."""
MAX_PAUSE: Final = 5
"""Seconds of a Retry-After for which it is worth keeping a person waiting."""
BEARER: Final = "Bearer "
OF_FORM: Final = "those have no blanks, quotes or special characters."
_CREDENTIAL: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,8000}=*")


class Credential(Protocol):
    """What calls are made with."""

    def current(self) -> str:
        """Return a key's secret or an access token. Raises `KeyportalError` if there is none."""

    def renewed(self, spent: str) -> str | None:
        """Return what to use instead of a token that the portal calls expired; None if there is nothing."""


class FixedCredential:
    """A credential that is never renewed: a key's secret."""

    def __init__(self, text: str) -> None:
        _refuse_malformed(text)
        self._text = text

    def current(self) -> str:
        """Return the credential."""
        return self._text

    def renewed(self, spent: str) -> str | None:
        """Return None: there is no other."""
        return None


class Result(NamedTuple):
    """The JSON of an answer, and its ETag."""

    body: Any
    etag: str


class Caller:
    """Calls the API of one portal with one credential."""

    def __init__(self, transport: Transport, credential: Credential) -> None:
        self.transport = transport
        self._credential = credential

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Result:
        """Return what the API answers. Raises `KeyportalError`.

        Whatever is called this way must be safe to repeat: idempotent, or with an `Idempotency-Key`.
        """
        target = f"/api/v1/{path}?{urlencode(query)}" if query else f"/api/v1/{path}"
        sent = dict(headers or {}) | ({"Content-Type": "application/json"} if body is not None else {})
        data = json.dumps(body).encode() if body is not None else None
        # What is raised has this frame, so no credential is in it: the text of a call has none.
        call = _with_bearer(Call(method, target, sent, data), self._credential.current())
        try:
            return self._send(call)
        except NotAuthenticatedError as error:
            renewed = self._renewed(call) if error.code == "expired" else None
            if renewed is None:
                raise
        return self._send(renewed)

    def _renewed(self, call: Call) -> Call | None:
        """Return the call with what is used instead of its token; None if there is nothing."""
        text = self._credential.renewed(call.headers["Authorization"].removeprefix(BEARER))
        return None if text is None else _with_bearer(call, text)

    def _send(self, call: Call) -> Result:
        for pause in PAUSES:
            try:
                return self._send_once(call)
            except (UnreachableError, RefusedError) as error:
                wait = _wait_after(error, pause)
                if wait is None:
                    raise
                time.sleep(wait)
        return self._send_once(call)

    def _send_once(self, call: Call) -> Result:
        answer = self.transport.send(call)
        return Result(json_of(answer), answer.headers.get("ETag", ""))


def is_well_formed(credential: str) -> bool:
    """Return whether this can be a bearer token (RFC 6750 §2.1): what is in quotes, or has blanks, is none."""
    return _CREDENTIAL.fullmatch(credential) is not None


def _refuse_malformed(credential: str) -> None:
    if not is_well_formed(credential):
        raise CredentialError(f"This is not a credential: {OF_FORM}")


def _with_bearer(call: Call, credential: str) -> Call:
    _refuse_malformed(credential)
    return call._replace(headers={**call.headers, "Authorization": f"{BEARER}{credential}"})


def _wait_after(error: UnreachableError | RefusedError, pause: float) -> float | None:
    """Return for how long to wait before the next try; None if there is no point in one."""
    if isinstance(error, UnreachableError):
        return pause if error.was_dropped else None
    if isinstance(error, UnavailableError):
        wait = max(pause, error.retry_after or 0)
        return wait if wait <= MAX_PAUSE else None
    return pause if error.code == "idempotency_running" else None
