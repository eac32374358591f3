"""`POST /api/v1/verify` of a portal in memory."""

import re
from collections.abc import Mapping
from typing import Any, Final

from keyportal_client.credential import Credential
from keyportal_client.testing import members
from keyportal_client.testing.members import InvalidMemberError, Reader, text_where
from keyportal_client.testing.records import SentRecord, rfc3339
from keyportal_client.testing.replies import Reply, invalid
from keyportal_client.testing.signing import sign_assertion
from keyportal_client.testing.state import UNKNOWN, State, Verdict
from keyportal_client.verifying.client_address import client_address
from keyportal_client.verifying.requirements import requirements

MAX_CREDENTIAL: Final = 8192
MAX_CREDENTIALS: Final = 100
MAX_SCOPES: Final = 100
MAX_SCOPE_LENGTH: Final = 200
MAX_AUDIENCE: Final = 200
ENDED: Final = ("revoked", "expired", "retired")
EITHER: Final = (("credential", "credentials"), ("scope", "scopes"))
_SCOPE_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]*(:[a-z][a-z0-9_.-]*)?")


def verify(state: State, body: bytes) -> Reply:
    """Return the verdicts that a service asks for. Raises `ProblemError`."""
    asked = members.read(state.url, members.parse(state.url, body), READERS, ())
    if "credential" not in asked and "credentials" not in asked:
        raise invalid(state.url, [("/credential", "Send the credential that you received.")])
    for one, other in EITHER:
        if one in asked and other in asked:
            raise invalid(state.url, [(f"/{one}", f"Send either {one} or {other}.")])
    if "credential" in asked:
        answer = _answer(state, asked["credential"], asked)
        return Reply(answer | state.as_of if asked.get("record") else answer)
    results = [_answer(state, text, asked) for text in asked["credentials"]]
    return Reply({"results": results, **state.as_of})


def _answer(state: State, text: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the verdict about one credential, and count it."""
    needed = requirements(asked.get("scopes") or asked.get("scope") or (), asked.get("environment"))
    client = client_address(asked.get("client_ip"))
    verdict = state.verdict(text, needed, client, audience=asked.get("audience"))
    state.count(verdict)
    more: dict[str, Any] = {"record": _kept(verdict)} if asked.get("record") else {}
    if audience := asked.get("assertion"):
        good = verdict.accepted
        more["assertion"] = sign_assertion(good, audience, issuer=state.url, at=state.seconds) if good else None
    return _said(verdict) | more


def _kept(verdict: Verdict) -> SentRecord | None:
    """Return the record, unless there is nothing to gain by keeping it: a token that has ended does not come back."""
    has_ended = verdict.code in ENDED and verdict.record is not None and verdict.record.is_token
    return None if has_ended else verdict.sent


def _said(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as it is told a service."""
    good = verdict.accepted
    if good is not None:
        return {"valid": True, "code": "ok", "credential": credential_json(good), "owner": good.owner_id}
    return {"valid": False, "code": verdict.code, "about": _about(verdict)}


def _about(verdict: Verdict) -> dict[str, Any]:
    refusal, record = verdict.refusal or UNKNOWN, verdict.record
    about: dict[str, Any] = {"title": refusal.reason.title, **refusal.about}
    if refusal.scopes and record is not None:
        lacking = [name for name in refusal.scopes if name not in record.credential.scopes]
        about["scope"] = " ".join(filter(_is_quotable, lacking))
    return about


def _is_quotable(name: str) -> bool:
    """Return whether this is the name of a scope, and not a secret that was sent by mistake."""
    return _SCOPE_NAME.fullmatch(name) is not None and not name.startswith("kp_")


def credential_json(credential: Credential) -> dict[str, Any]:
    """Return a credential as the API has it."""
    return {
        "kind": credential.kind,
        "id": credential.id,
        "name": credential.name,
        "client_id": credential.client_id,
        "owner": credential.owner_id,
        "environment": credential.environment,
        "scopes": sorted(credential.scopes),
        "expires_at": rfc3339(credential.expires_at) if credential.expires_at else None,
    }


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidMemberError(("", "Send a string."))
    if not 0 < len(value) <= MAX_CREDENTIAL:
        raise InvalidMemberError(("", f"Send 1 to {MAX_CREDENTIAL} characters."))
    return value


def _credentials(value: Any) -> list[str]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_CREDENTIALS:
        raise InvalidMemberError(("", f"Send a list of 1 to {MAX_CREDENTIALS} credentials."))
    return [_text(text) for text in value]


def _scopes(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_SCOPES:
        raise InvalidMemberError(("", f"Send a list of at most {MAX_SCOPES} names."))
    wrong = [place for place, name in enumerate(value) if not _is_name(name)]
    if wrong:
        advice = f"Send a name of 1 to {MAX_SCOPE_LENGTH} characters."
        raise InvalidMemberError(*((f"/{place}", advice) for place in wrong))
    return value


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= MAX_SCOPE_LENGTH


def _scope(value: Any) -> list[str]:
    if not isinstance(value, str):
        raise InvalidMemberError(("", "Send a string of names separated by spaces (RFC 6749 §3.3)."))
    return _scopes([name for name in value.split(" ") if name])


def _record(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidMemberError(("", "Send true or false."))
    return value


_audience: Final = text_where(
    lambda text: 0 < len(text) <= MAX_AUDIENCE, f"Send your service's name, 1 to {MAX_AUDIENCE} characters."
)
READERS: Final[Mapping[str, Reader]] = {
    "credential": _text,
    "credentials": _credentials,
    "scope": _scope,
    "scopes": _scopes,
    "environment": text_where(lambda text: text in ("live", "test"), "Send live or test."),
    "audience": _audience,
    "client_ip": text_where(lambda text: client_address(text).address, "Send an IPv4 or IPv6 address."),
    "record": _record,
    "assertion": _audience,
}
