"""The verdict about a record: what the portal would answer at this moment. `clients/verdicts.json` has the cases."""

from collections.abc import Mapping
from email.utils import formatdate
from types import MappingProxyType
from typing import Final

from keyportal_client.refusals import Refusal
from keyportal_client.verifying.client_address import Address
from keyportal_client.verifying.record import EXPIRY_NOTICE, Record
from keyportal_client.verifying.requirements import Requirements

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


def check_record(record: Record, requirements: Requirements, *, at: float, address: Address | None) -> Refusal | None:
    """Return the first reason to refuse a record, None if there is none.

    `at` is in seconds since 1970, by the portal's clock.
    """
    begin, end = record.valid_between
    if begin <= at < end and _is_enough(record, requirements):  # as most do
        return None
    return _ended(record, at) or _stopped(record, at) or _not_enough(record, requirements, address, at)


def _ended(record: Record, at: float) -> Refusal | None:
    """Return why it will never be good again, or is not yet."""
    if record.not_before and record.not_before.seconds > at:
        return Refusal("invalid_token")
    if record.revoked_at:
        return _refusal("revoked", _of_key(record), at=record.revoked_at.text, reason=record.revoked_reason)
    if record.expires_at and record.expires_at.seconds + record.leeway <= at:
        return _refusal("expired", _of_credential(record), at=record.expires_at.text)
    if record.key_expires_at and record.key_expires_at.seconds <= at:
        return _refusal("expired", _of_key(record), at=record.key_expires_at.text)
    if record.retires_at and record.retires_at.seconds <= at:
        return _refusal("retired", _of_key(record), at=record.retires_at.text)
    return None


def _stopped(record: Record, at: float) -> Refusal | None:
    """Return why it is not good now, though it may be again."""
    if record.paused_at and (record.paused_until is None or record.paused_until.seconds > at):
        return _refusal("paused", _of_key(record), at=record.paused_at.text, **_pause(record))
    if record.owner_state == "inactive":
        return _refusal("owner_inactive", _of_key(record))
    if record.owner_state != "active":
        return _refusal("account_unconfirmed", _of_key(record))
    return None


def _is_enough(record: Record, requirements: Requirements) -> bool:
    """Return whether a record has what is required, wherever the request comes from."""
    credential = record.credential
    if requirements.environment and requirements.environment != credential.environment:
        return False
    return credential.scopes.issuperset(requirements.scopes)


def _not_enough(record: Record, requirements: Requirements, address: Address | None, at: float) -> Refusal | None:
    """Return why a credential that is good elsewhere is not for this request."""
    credential = record.credential
    if requirements.environment and requirements.environment != credential.environment:
        about = {**_of_credential(record), "environment": credential.environment}
        return Refusal("wrong_environment", about=about, headers=lifetime_headers(record, at))
    if record.networks and not any(address in network for network in record.networks if address):
        about = {**_of_key(record), **({"address": str(address)} if address else {})}
        return Refusal("network_refused", about=about, headers=lifetime_headers(record, at))
    if not credential.scopes.issuperset(requirements.scopes):
        headers = lifetime_headers(record, at)
        return Refusal("insufficient_scope", requirements.scopes, _of_credential(record), headers=headers)
    return None


def lifetime_headers(record: Record, at: float) -> Mapping[str, str]:
    """Return the headers that announce the end of a replaced secret, and of a key; mostly none.

    Deprecation (RFC 9745) and Sunset (RFC 8594) during an overlap; `X-Keyportal-Expires` in the last 30 days.
    """
    key_expires_at = record.key_expires_at if record.is_token else record.expires_at
    headers = {}
    if record.retires_at and record.replaced_at:
        headers["Deprecation"] = f"@{int(record.replaced_at.seconds)}"
        headers["Sunset"] = formatdate(record.retires_at.seconds, usegmt=True)
    if key_expires_at and key_expires_at.seconds - at <= EXPIRY_NOTICE:
        headers["X-Keyportal-Expires"] = key_expires_at.text
    return headers or _NO_HEADERS


def _refusal(code: str, about: Mapping[str, str], **more: str) -> Refusal:
    return Refusal(code, about={**about, **more})


def _pause(record: Record) -> dict[str, str]:
    """Return what the holder is told of a pause beside its beginning."""
    until = {"until": record.paused_until.text} if record.paused_until else {}
    return until | ({"reason": record.paused_reason} if record.paused_reason else {})


def _of_credential(record: Record) -> dict[str, str]:
    """Return which credential it is, for its holder."""
    credential = record.credential
    if record.is_token:
        return {"token": credential.id, "client": credential.client_id}
    return {"key": credential.id, "name": credential.name}


def _of_key(record: Record) -> dict[str, str]:
    """Return which key it is, or was exchanged for the token; of a log-in's token, which token."""
    credential = record.credential
    return {"key": credential.key_id, "name": credential.name} if credential.key_id else _of_credential(record)
