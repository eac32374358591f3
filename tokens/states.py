"""The state of a credential for operators: the verdict of every entry point, with when and why it ended."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from accounts.times import in_words
from apikeys.models import APIKey, KeySecret
from apikeys.verification import record_of
from credentials.record import VerifiedRecord, check_state, owner_of
from credentials.refusals import RefusedError
from credentials.scopes.catalogue import current_names
from tokens.models import RefreshToken, RevokedToken, TokenFamily
from tokens.verification import load_subject
from vault.signing import Claims

GOOD: Final = "good"
_LABELS: Final = {
    GOOD: "Accepted",
    "account_unconfirmed": "Refused: the owner has not confirmed their e-mail address",
    "expired": "Expired",
    "invalid_token": "Refused: its row was changed outside the portal",
    "owner_inactive": "Refused: the owner's account is inactive",
    "paused": "Paused",
    "retired": "Replaced by a newer secret of its key",
    "revoked": "Ended",
    "spent": "Used: a newer token has replaced it",
}


@dataclass(frozen=True, slots=True)
class State:
    """A refusal code (or `good` or `spent`), with since when and why."""

    code: str
    at: datetime | None = None
    why: str = ""

    @property
    def label(self) -> str:
        """The text that pages show: `Ended on 3 Feb 2026, 12:00 UTC: leaked`."""
        at = f" on {in_words(self.at)}" if self.at else ""
        return f"{_LABELS.get(self.code, self.code)}{at}{f': {self.why}' if self.why else ''}"

    @property
    def is_good(self) -> bool:
        """Whether it is accepted."""
        return self.code == GOOD

    @property
    def is_terminal(self) -> bool:
        """Whether there is nothing left to end: it is revoked, expired or spent."""
        return self.code in ("revoked", "expired", "spent")


def state_of_key(key: APIKey, secret: KeySecret | None = None) -> State:
    """Return the state of a key, or of one of its secrets. Its networks are ignored, because there is no caller."""
    now = timezone.now()
    try:
        check_state(_from_anywhere(_record_of_key(key, secret)), at=now, address=None)
    except RefusedError as error:
        code = error.refusal.code
        at = {"revoked": key.revoked_at, "expired": key.expires_at, "paused": key.paused_at}.get(code)
        if code == "retired" and secret is not None:
            at = secret.retires_at
        return State(code, at, key.revoked_reason if code == "revoked" else "")
    return State(GOOD)


def state_of_family(family: TokenFamily) -> State:
    """Return the state of a log-in, which is also that of everything issued from it."""
    user, now = family.user, timezone.now()
    if family.ended_at:
        return State("revoked", family.ended_at, family.ended_reason)
    if not family.seal_is_valid():
        return State("invalid_token")
    if family.epoch != user.auth_epoch:
        return State("revoked", why="all tokens of the account were ended")
    idle = family.refreshed_at + timedelta(seconds=settings.KEYPORTAL_REFRESH_IDLE)
    if min(idle, family.expires_at) <= now:
        return State("expired", min(idle, family.expires_at))
    if not user.is_active:
        return State("owner_inactive")
    return State(GOOD if user.is_confirmed else "account_unconfirmed")


def state_of_refresh_token(token: RefreshToken) -> State:
    """Return the state of one refresh token: its log-in's, unless the token itself is spent or expired."""
    of_family = state_of_family(token.family)
    if of_family.code == "revoked":
        return of_family
    if not token.seal_is_valid():
        return State("invalid_token")
    if token.used_at:
        return State("spent", token.used_at)
    return State("expired", token.expires_at) if token.expires_at <= timezone.now() else of_family


def state_of_token(claims: Claims) -> State:
    """Return the state of an access token. A revocation takes precedence over expiry, because it says more."""
    ended = _end_of_token(claims)
    if ended is not None:
        return ended
    if claims.expires_at <= time.time() - settings.KEYPORTAL_LEEWAY:
        return State("expired", datetime.fromtimestamp(claims.expires_at, UTC))
    record = load_subject(claims)
    if record is None:
        return State("invalid_token", why="the account, or the key or secret that it names, no longer exists")
    key = _from_anywhere(record.key) if record.key else None
    try:
        check_state(replace(record, key=key), at=timezone.now(), address=None)
    except RefusedError as error:
        why = "all tokens of the account were ended" if error.refusal.code == "revoked" else ""
        return State(error.refusal.code, why=why)
    return State(GOOD)


def _end_of_token(claims: Claims) -> State | None:
    """Return the state of a token that was ended itself, or whose log-in or key was; None if none of them was."""
    if claims.family:
        family = TokenFamily.objects.filter(pk=claims.family).exclude(ended_at=None).first()
        if family is not None:
            return State("revoked", family.ended_at, family.ended_reason)
    row = RevokedToken.objects.filter(issuer=claims.issuer, token_id__in=(claims.token_id, claims.family or "")).first()
    if row is not None:
        return State("revoked", row.revoked_at)
    kind, _, subject_id = claims.subject.partition(":")
    key = APIKey.objects.filter(pk=subject_id).exclude(revoked_at=None).first() if kind == "key" else None
    return State("revoked", key.revoked_at, f"its key, {key.revoked_reason or 'no reason given'}") if key else None


def _record_of_key(key: APIKey, secret: KeySecret | None) -> VerifiedRecord:
    return record_of(key, owner=owner_of(key.owner), catalogue=current_names(), secret=secret)


def _from_anywhere(record: VerifiedRecord) -> VerifiedRecord:
    return replace(record, networks=())
