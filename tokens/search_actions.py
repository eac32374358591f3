"""End what an operator's search has found, through the services of keys and tokens. A target holds only public ids."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final, Self

from django.core import signing

from apikeys import services as keys
from apikeys.models import APIKey
from audit.origin import Origin
from tokens import services
from tokens.models import TokenFamily
from vault.signing import Claims

MAX_AGE: Final = 600  # seconds for which a rendered form can be submitted
SALT: Final = "keyportal.end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something that an operator can end: a key, a log-in, or a single access token."""

    kind: str
    """`key`, `family` or `token`."""
    id: str
    subject: str = ""
    """For a token: `key:…` or `user:…`."""
    issuer: str = ""
    expires_at: int = 0
    """For a token: seconds since 1970."""

    @classmethod
    def of_claims(cls, claims: Claims) -> Self:
        """Return the target for one access token."""
        return cls(
            kind="token",
            id=claims.token_id,
            subject=claims.subject,
            issuer=claims.issuer,
            expires_at=claims.expires_at,
        )

    @classmethod
    def of_form(cls, signed: str) -> Self:
        """Return the target from a signed form field. Raises `signing.BadSignature` if it is forged or too old."""
        fields: dict[str, str | int] = signing.loads(signed, salt=SALT, max_age=MAX_AGE)
        return cls(**fields)  # type: ignore[arg-type]  # `signed` wrote the fields

    @property
    def signed(self) -> str:
        """The target as a signed form field, so that no operator can submit a token under another owner's name."""
        return signing.dumps(asdict(self), salt=SALT)


def end(target: Target, *, reason: str, origin: Origin) -> bool:
    """End the target, with effect from the next request; return False if it has already ended or no longer exists."""
    return _ENDINGS[target.kind](target, reason, origin)


def _end_key(target: Target, reason: str, origin: Origin) -> bool:
    key = APIKey.objects.filter(pk=target.id).first()
    return key is not None and keys.revoke(key=key, reason=reason, origin=origin)


def _end_family(target: Target, reason: str, origin: Origin) -> bool:
    family = TokenFamily.objects.filter(pk=target.id).first()
    return family is not None and services.end_family(family=family, reason=reason, origin=origin)


def _end_token(target: Target, reason: str, origin: Origin) -> bool:
    claims = Claims(
        issuer=target.issuer,
        subject=target.subject,
        audience="",
        client_id="",
        token_id=target.id,
        scope="",
        issued_at=0,
        expires_at=target.expires_at,
        environment="",
        epoch=0,
    )
    return services.revoke_token(claims=claims, origin=origin, reason=reason)


_ENDINGS: Final[Mapping[str, Callable[[Target, str, Origin], bool]]] = {
    "key": _end_key,
    "family": _end_family,
    "token": _end_token,
}
