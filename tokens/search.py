"""An operator's search: identify a pasted text and trace it to its owner. Every search is recorded."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.models import User
from apikeys.models import APIKey, KeySecret
from audit.event_types import EventType
from audit.models import Event
from audit.origin import Origin
from audit.services import record_event
from credentials.kinds import Kind
from integrity.rings import signing_ring
from tokens import traces
from tokens.identification import refresh_token_of, secret_of
from tokens.models import RefreshToken, TokenFamily
from tokens.pasted import PastedText, find_pasted, length_of_secret
from tokens.traces import Finding
from vault.errors import TokenError, UnknownKeyError
from vault.secret_format import hint
from vault.signing import Claims, read

SIMILAR: Final = 10
"""The most keys shown for one hint."""
FOREVER: Final = 10**10  # seconds: this is about what a token is, not when it was good
NOTHING: Final = "This portal issues nothing like this. It is not a secret, a token, a public id or a hint."
_ISSUES: Final = (EventType.TOKEN_ISSUED, EventType.APP_LOGGED_IN, EventType.TOKEN_REFRESHED)
_KINDS: Final = {
    Kind.API_KEY: "secret of a key",
    Kind.ACCESS_TOKEN: "signed token",
    Kind.REFRESH_TOKEN: "refresh token",
    Kind.HINT: "hint",
    Kind.PUBLIC_ID: "public id",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a search found, or one sentence that says what the text is instead."""

    kind: Kind | None
    findings: tuple[Finding, ...] = ()
    sentence: str = ""
    others: bool = False
    """Whether the text held more than one credential. Only the first was looked up."""


@sensitive_variables("text", "pasted")
def search(text: str, *, origin: Origin) -> Result:
    """Identify a text and trace it. The audit event names the kind and the subject, never the text."""
    pasted = find_pasted(text)
    result = _result(pasted)
    subjects = {finding.subject for finding in result.findings}
    record_event(
        EventType.CREDENTIAL_LOOKED_UP,
        subject=subjects.pop() if len(subjects) == 1 else "credential:several" if subjects else "credential:none",
        origin=origin,
        kind=result.kind or "none",
        found=len(result.findings),
    )
    return result


def _result(pasted: list[PastedText]) -> Result:
    if not pasted:
        return Result(kind=None, sentence=NOTHING)
    first = pasted[0]
    others = sum(one.is_credential and one.whole for one in pasted) > 1
    if not first.whole:
        return Result(kind=first.kind, sentence=_explain_damage(first), findings=_similar_keys(first), others=others)
    findings = _FINDERS[first.kind](first.text)
    sentence = "" if findings else _explain_unknown(first)
    if not first.is_credential and any(one.is_credential for one in pasted):
        sentence = " ".join(filter(None, (sentence, "The credential next to it is mistyped or cut off.")))
    return Result(kind=first.kind, findings=findings, sentence=sentence, others=others)


def _of_secret(text: str) -> tuple[Finding, ...]:
    secret = secret_of(text)
    return (traces.of_secret(secret),) if secret else ()


def _of_refresh_token(text: str) -> tuple[Finding, ...]:
    token = refresh_token_of(text)
    return (traces.of_refresh_token(token),) if token else ()


def _of_access_token(text: str) -> tuple[Finding, ...]:
    claims = _claims(text)
    found = traces.of_claims(claims) if claims else None
    return (found,) if found else ()


def _of_hint(text: str) -> tuple[Finding, ...]:
    """Return the keys with this hint, or end of one. A hint proves nothing, so only a single match can be ended."""
    secrets = KeySecret.objects.select_related("key__owner").filter(hint__endswith=text)
    exact = [secret for secret in secrets[: 10 * SIMILAR] if secret.hint.endswith(text)]  # SQLite ignores case
    return tuple(traces.of_secret(secret, what="Key with this hint") for secret in exact[:SIMILAR])


def trace_id(text: str) -> tuple[Finding, ...]:
    """Return what has this public id. Nothing is recorded."""
    kind = text.partition("_")[0]
    found = _BY_ID[kind](text)
    return (found,) if found else ()


def _key(pk: str) -> Finding | None:
    key = APIKey.objects.select_related("owner").filter(pk=pk).first()
    return traces.of_key(key) if key else None


def _secret(pk: str) -> Finding | None:
    secret = KeySecret.objects.select_related("key__owner").filter(pk=pk).first()
    return traces.of_secret(secret) if secret else None


def _user(pk: str) -> Finding | None:
    user = User.objects.filter(pk=pk).first()
    return traces.of_user(user) if user else None


def _family(pk: str) -> Finding | None:
    family = TokenFamily.objects.select_related("user").filter(pk=pk).first()
    return traces.of_family(family) if family else None


def _refresh_token(pk: str) -> Finding | None:
    token = RefreshToken.objects.select_related("family__user").filter(pk=pk).first()
    return traces.of_refresh_token(token) if token else None


def _token(pk: str) -> Finding | None:
    """Trace an access token by its `jti`, through the event that recorded its issue while it can still be valid."""
    since = timezone.now() - timedelta(seconds=settings.KEYPORTAL_ACCESS_LIFETIME + settings.KEYPORTAL_LEEWAY, hours=1)
    issues = Event.objects.filter(verb__in=_ISSUES, at__gte=since)
    event = issues.filter(details__token=pk).order_by("-at").first()
    return traces.of_claims(_claims_of(event), what="Access token, by its id") if event else None


def _claims_of(event: Event) -> Claims:
    subject = f"{event.subject_type}:{event.subject_id}"
    return Claims(
        issuer=settings.KEYPORTAL_URL,
        subject=subject,
        audience=event.details["audience"],
        client_id=event.subject_id,
        token_id=event.details["token"],
        scope=event.details["scopes"],
        issued_at=int(event.at.timestamp()),
        expires_at=event.details["expires"],
        environment="",
        epoch=event.details["epoch"],
        family=event.details.get("family"),
        secret_id=event.details.get("secret_id"),
    )


def _claims(token: str) -> Claims | None:
    """Return the claims of a token that this portal signed, for any audience and time; None for another's.

    The issuer is read from the token itself, because a good signature proves it.
    """
    try:
        payload = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        issuer = str(payload["iss"])
        return read(signing_ring(), token, issuer=issuer, audience=None, now=time.time(), leeway=FOREVER)
    except (TokenError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _explain_damage(pasted: PastedText) -> str:
    """Return a sentence that says how the text is damaged."""
    if pasted.kind is Kind.ACCESS_TOKEN:
        ours = (
            "It begins like a signed token of this portal" if _names_our_key(pasted.text) else "It begins like a token"
        )
        return f"{ours}, and is cut off: a token has three parts with dots between them."
    if pasted.kind is Kind.PUBLIC_ID:
        return "This looks like a public id and has the wrong length: it was mistyped or cut off."
    has, wants = length_of_secret(pasted.text)
    if has < wants:
        return f"It begins like a {_KINDS[pasted.kind]} and is cut off: {has} of {wants} characters follow the prefix."
    how = "its checksum is wrong" if has == wants else f"{has} characters follow the prefix instead of {wants}"
    return f"It begins like a {_KINDS[pasted.kind]} and was mistyped: {how}."


def _explain_unknown(pasted: PastedText) -> str:
    """Return a sentence that says why an undamaged text belongs to nothing."""
    if pasted.kind is Kind.ACCESS_TOKEN:
        if _claims(pasted.text):
            return "This portal signed it, but the account or the key that it names no longer exists."
        if _names_our_key(pasted.text):
            return (
                "It names a signing key of this portal, and its signature is wrong: it was mistyped, cut off or forged."
            )
        return "It has the form of a signed token, but no signing key in this portal's ring signed it."
    if pasted.kind in (Kind.HINT, Kind.PUBLIC_ID):
        return f"It has the form of a {_KINDS[pasted.kind]}, but nothing here has it, or it no longer exists."
    days = settings.KEYPORTAL_TOMBSTONE_DAYS
    return f"It is well formed but unknown: it was never issued here, or ended more than {days} days ago."


def _names_our_key(token: str) -> bool:
    """Return whether the token's header, which is unverified, names a key of the signing ring."""
    try:
        header = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
        return signing_ring()[header["kid"]] is not None
    except (UnknownKeyError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _similar_keys(pasted: PastedText) -> tuple[Finding, ...]:
    """Return the keys whose hint a mistyped secret would have: prefix and last four characters are often right."""
    has, wants = length_of_secret(pasted.text)
    if pasted.kind is not Kind.API_KEY or has != wants:
        return ()
    secrets = KeySecret.objects.select_related("key__owner").filter(hint=hint(pasted.text))
    return tuple(traces.of_secret(secret, what="Key with the same last characters") for secret in secrets[:SIMILAR])


_FINDERS: Final[Mapping[Kind, Callable[[str], tuple[Finding, ...]]]] = {
    Kind.API_KEY: _of_secret,
    Kind.REFRESH_TOKEN: _of_refresh_token,
    Kind.ACCESS_TOKEN: _of_access_token,
    Kind.HINT: _of_hint,
    Kind.PUBLIC_ID: trace_id,
}
_BY_ID: Final[Mapping[str, Callable[[str], Finding | None]]] = {
    "key": _key,
    "sec": _secret,
    "usr": _user,
    "fam": _family,
    "ref": _refresh_token,
    "tok": _token,
}
