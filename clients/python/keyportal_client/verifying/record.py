"""A record: what a verdict about a credential depends on. It holds no secret and no verdict."""

from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import inf
from typing import Final, TypedDict

from keyportal_client.conforming import conform
from keyportal_client.credential import Credential
from keyportal_client.errors import UnexpectedAnswerError
from keyportal_client.shapes import Id, Time, Word
from keyportal_client.times import time_of
from keyportal_client.verifying.moments import Moment

Network = IPv4Network | IPv6Network


EXPIRY_NOTICE: Final = 30 * 24 * 3600
"""Seconds before a key expires, for which answers say so too."""
NEVER: Final = (inf, -inf)
FORMAT: Final = 1
"""The form of records that this version can judge by. It asks the portal each time about credentials with another."""


class RecordJson(TypedDict):
    """A record as the portal sends it."""

    format: int
    id: Id
    secret_id: str
    kind: Word
    name: str
    client_id: Id
    owner: Id
    owner_state: Word
    environment: Word
    scopes: list[str]
    networks: list[str]
    asks_each_time: bool
    not_before: Time | None
    expires_at: Time | None
    leeway: int
    key_expires_at: Time | None
    replaced_at: Time | None
    retires_at: Time | None
    paused_at: Time | None
    paused_until: Time | None
    paused_reason: str
    revoked_at: Time | None
    revoked_reason: str
    tags: list[str]


@dataclass(frozen=True)
class Record:
    """What a verdict depends on. Moments are None if they do not apply."""

    credential: Credential
    secret_id: str
    owner_state: str
    """`active`, `inactive` or `unconfirmed`."""
    networks: tuple[Network, ...]
    """The networks that it is allowed from; empty for any."""
    asks_each_time: bool
    """Whether only the portal may judge it, because it counts its calls."""
    not_before: Moment | None
    expires_at: Moment | None
    leeway: int
    """For how many seconds it is good after it has expired, because clocks differ."""
    key_expires_at: Moment | None
    """When the key expires that the token was exchanged for, and the token with it."""
    replaced_at: Moment | None
    retires_at: Moment | None
    paused_at: Moment | None
    paused_until: Moment | None
    paused_reason: str
    revoked_at: Moment | None
    revoked_reason: str
    tags: tuple[str, ...]
    """The names under which a change of it is announced."""

    @cached_property
    def is_token(self) -> bool:
        """Whether it is of a token, and not of a key."""
        return self.credential.kind != "api_key"

    @cached_property
    def valid_between(self) -> tuple[float, float]:
        """From when on, and until when, it is good from everywhere and has no end to announce: mostly now.

        In seconds since 1970. Only its scopes and environment are left to check then.
        """
        if self.revoked_at or self.retires_at or self.paused_at or self.networks or self.owner_state != "active":
            return NEVER
        noticed = self.key_expires_at if self.is_token else self.expires_at
        ends = [moment.seconds for moment in (self.expires_at, self.key_expires_at) if moment]
        if noticed:
            ends.append(noticed.seconds - EXPIRY_NOTICE)
        return self.not_before.seconds if self.not_before else -inf, min(ends, default=inf)

    @cached_property
    def counted_as(self) -> str:
        """The id under which its calls are counted: the key's, also for its tokens; else the owner's."""
        return self.credential.key_id or self.credential.owner_id


def record_of(sent: object) -> Record | None:
    """Return the record in an answer; None if there is nothing to judge by. Raises `UnexpectedAnswerError`."""
    if sent is None or (isinstance(sent, dict) and sent.get("format") != FORMAT):
        return None
    written = conform(sent, RecordJson)
    try:
        return _parse(written)
    except (ValueError, OverflowError) as error:
        raise UnexpectedAnswerError("The portal's answer is not what this client knows.") from error


def _parse(sent: RecordJson) -> Record:
    if sent["leeway"] < 0:
        raise ValueError("nothing expires before its time")
    return Record(
        credential=Credential(
            kind=sent["kind"],
            id=sent["id"],
            name=sent["name"],
            client_id=sent["client_id"],
            owner_id=sent["owner"],
            environment=sent["environment"],
            scopes=frozenset(sent["scopes"]),
            expires_at=time_of(sent["expires_at"]) if sent["expires_at"] else None,
        ),
        secret_id=sent["secret_id"],
        owner_state=sent["owner_state"],
        networks=tuple(map(ip_network, sent["networks"])),
        asks_each_time=sent["asks_each_time"],
        not_before=_moment(sent["not_before"]),
        expires_at=_moment(sent["expires_at"]),
        leeway=sent["leeway"],
        key_expires_at=_moment(sent["key_expires_at"]),
        replaced_at=_moment(sent["replaced_at"]),
        retires_at=_moment(sent["retires_at"]),
        paused_at=_moment(sent["paused_at"]),
        paused_until=_moment(sent["paused_until"]),
        paused_reason=sent["paused_reason"],
        revoked_at=_moment(sent["revoked_at"]),
        revoked_reason=sent["revoked_reason"],
        tags=tuple(sent["tags"]),
    )


def _moment(text: str | None) -> Moment | None:
    return Moment.parse(text) if text else None
