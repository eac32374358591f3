"""Trace a credential: its owner, its state, the key or log-in that it comes from, and what can end it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from accounts.models import User
from accounts.times import in_words
from apikeys import usage
from apikeys.models import APIKey, KeySecret
from credentials.usage.models import SourceAddress
from tokens.models import RefreshToken, TokenFamily
from tokens.search_actions import Target
from tokens.states import GOOD, State, state_of_family, state_of_key, state_of_refresh_token, state_of_token
from vault.signing import Claims

KEY, FAMILY, USER = "apikeys.apikey", "tokens.tokenfamily", "accounts.user"


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of what is known. `model` and `pk` lead to its page in the admin."""

    label: str
    text: str
    model: str = ""
    pk: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a search found: public ids, and nothing that grants access."""

    what: str
    subject: str
    """`key:…` or `user:…`: the history in which the search is recorded."""
    model: str
    """The model on which an operator needs permission to see it (`view`) and to end it (`change`)."""
    owner: User | None
    state: State
    facts: list[Fact] = field(default_factory=list)
    target: Target | None = None
    """What ends it, or None if there is nothing to end."""
    ending: str = ""
    """Exactly what would end, in words."""


def of_secret(secret: KeySecret, *, what: str = "Secret of an API key") -> Finding:
    """Trace a secret of a key that was found by its digest, its hint or its row id."""
    state = state_of_key(secret.key, secret)
    seen = SourceAddress.objects.filter(credential=secret.key_id, secret=secret.pk).order_by("-last_at").first()
    facts = [
        Fact("Secret", f"{secret.hint} ({secret.pk}), created {in_words(secret.created_at)}"),
        Fact("Last used", f"{in_words(seen.last_at)} from {seen.address or 'an unknown address'}" if seen else "never"),
    ]
    return _of_key(secret.key, what=what, state=state, facts=facts)


def of_key(key: APIKey) -> Finding:
    """Trace a key that was found by its id."""
    hints = ", ".join(secret.hint for secret in key.secrets.all())
    return _of_key(
        key, what="API key", state=state_of_key(key), facts=[Fact("Secrets", hints or "none stored any more")]
    )


def of_refresh_token(token: RefreshToken) -> Finding:
    """Trace a refresh token to its log-in."""
    facts = [Fact("Issued", f"{in_words(token.issued_at)}, valid until {in_words(token.expires_at)}")]
    return _of_family(token.family, what="Refresh token", state=state_of_refresh_token(token), facts=facts)


def of_family(family: TokenFamily) -> Finding:
    """Trace a log-in that was found by its id."""
    return _of_family(family, what="Log-in of an app", state=state_of_family(family), facts=[])


def of_user(user: User) -> Finding:
    """Trace an account that was found by its id. Operators deactivate it on its own page."""
    code = "owner_inactive" if not user.is_active else GOOD if user.is_confirmed else "account_unconfirmed"
    facts = [
        *_owner(user),
        Fact("Active keys", str(APIKey.objects.filter(owner=user).alive().count())),
        Fact("Signed-in apps", str(TokenFamily.objects.filter(user=user).alive().count())),
    ]
    return Finding(what="Account", subject=f"user:{user.pk}", model=USER, owner=user, state=State(code), facts=facts)


def of_claims(claims: Claims, *, what: str = "Access token") -> Finding | None:
    """Trace an access token to the key or log-in that it comes from; None if neither exists any more."""
    state = state_of_token(claims)
    times = (in_words(datetime.fromtimestamp(at, UTC)) for at in (claims.issued_at, claims.expires_at))
    facts = [
        Fact("Token", f"{claims.token_id}, for {claims.audience}"),
        Fact("Issued, expires", " and ".join(times)),
        Fact("Scopes", claims.scope or "none"),
    ]
    kind, _, subject_id = claims.subject.partition(":")
    if kind == "key":
        key = APIKey.objects.select_related("owner").filter(pk=subject_id).first()
        return _of_token_of_key(key, claims, what=what, state=state, facts=facts) if key else None
    family = TokenFamily.objects.select_related("user").filter(pk=claims.family or "").first()
    if family is not None:
        return _of_family(family, what=what, state=state, facts=facts)
    user = User.objects.filter(pk=subject_id).first()
    if user is None:
        return None
    target = None if state.is_terminal else Target.of_claims(claims)
    facts += _owner(user)
    return Finding(
        what=what,
        subject=claims.subject,
        model=FAMILY,
        owner=user,
        state=state,
        facts=facts,
        target=target,
        ending="only this token; its log-in no longer exists",
    )


def _of_key(key: APIKey, *, what: str, state: State, facts: list[Fact]) -> Finding:
    recent = usage.recent_usage([key.pk])[key.pk]
    calls = f"{recent.calls:,} from {recent.addresses} address{'' if recent.addresses == 1 else 'es'}"
    return Finding(
        what=what,
        subject=f"key:{key.pk}",
        model=KEY,
        owner=key.owner,
        state=state,
        facts=[*facts, *_key(key), Fact("Calls in 24 hours", calls)],
        target=None if key.revoked_at else Target(kind="key", id=key.pk),
        ending="the key, all its secrets, and every token issued in exchange for it",
    )


def _of_token_of_key(key: APIKey, claims: Claims, *, what: str, state: State, facts: list[Fact]) -> Finding:
    return Finding(
        what=what,
        subject=claims.subject,
        model=KEY,
        owner=key.owner,
        state=state,
        facts=[*facts, Fact("Came from", "a key that was exchanged for it"), *_key(key)],
        target=None if state.is_terminal else Target.of_claims(claims),
        ending="only this token; its key keeps working and can get a new one",
    )


def _of_family(family: TokenFamily, *, what: str, state: State, facts: list[Fact]) -> Finding:
    since = f"{in_words(family.started_at)} from {family.address or 'an unknown address'}"
    return Finding(
        what=what,
        subject=f"user:{family.user_id}",
        model=FAMILY,
        owner=family.user,
        state=state,
        facts=[
            *facts,
            Fact("Came from", f"the log-in {family.pk}, {since}", FAMILY, family.pk),
            Fact("Program", family.agent or "unknown"),
            *([Fact("For", family.audience)] if family.audience else []),
            *_owner(family.user),
        ],
        target=None if family.ended_at else Target(kind="family", id=family.pk),
        ending="the log-in, its refresh token and all its access tokens",
    )


def _key(key: APIKey) -> Iterable[Fact]:
    yield Fact("Key", f"{key.name} ({key.pk}), {key.environment}, created {in_words(key.created_at)}", KEY, key.pk)
    yield Fact("Scopes of the key", key.scopes or "none")
    if key.networks:
        yield Fact("Only from", ", ".join(key.network_list))
    yield from _owner(key.owner)


def _owner(user: User) -> Iterable[Fact]:
    yield Fact("Owner", f"{user.email} ({user.pk})", USER, user.pk)
