"""Whom an access token is for: what a client asks for as `resource` (RFC 8707), and what a service asks for as `aud`.

Everything is compared letter by letter (RFC 7519 §2), so that one audience has one spelling. Nothing here writes.
"""

import logging
from enum import Enum
from typing import Final, TypeAlias

from django.conf import settings

from tokens.errors import InvalidTargetError
from tokens.models import Audience
from tokens.resources import is_resource

logger = logging.getLogger(__name__)


class AnyAudience(Enum):
    """What no request can name: any audience, where a token is looked at or ended and not used."""

    ANY = "any"


ANY: Final = AnyAudience.ANY
Asked: TypeAlias = str | AnyAudience | None
"""The audience that a token is to have; None for the portal's own."""


def expected(asked: Asked) -> str | None:
    """Return the `aud` that a token must have; None for any."""
    if asked is None:
        own: str = settings.KEYPORTAL_AUDIENCE
        return own
    return None if isinstance(asked, AnyAudience) else asked


def granted(resource: str | None) -> str:
    """Return the audience of a token for this resource (RFC 8707 §2); empty for the portal's own.

    Raises `InvalidTargetError` for one that operators do not keep.
    """
    if resource is None or resource == settings.KEYPORTAL_AUDIENCE:
        return ""
    if not is_kept(resource):
        raise InvalidTargetError
    return resource


def refuse_another(resource: str | None, *, of_log_in: str) -> None:
    """Raise `InvalidTargetError` unless a log-in can be refreshed for this resource (RFC 8707 §2.2).

    A log-in keeps its audience: naming none asks for that, and another is refused. So is one that operators do not keep
    any more.
    """
    audience = of_log_in or settings.KEYPORTAL_AUDIENCE
    if resource not in (None, audience):
        raise InvalidTargetError
    if audience != settings.KEYPORTAL_AUDIENCE and not is_kept(audience):
        raise InvalidTargetError


def is_audience(text: str) -> bool:
    """Return whether a token of the portal's can have this audience, also one that operators have removed."""
    return text == settings.KEYPORTAL_AUDIENCE or is_resource(text)


def is_kept(uri: str) -> bool:
    """Return whether operators keep this audience. The database is not asked about what is no absolute URI."""
    row = Audience.objects.filter(uri=uri).first() if is_resource(uri) else None
    if row is None:
        return False
    if not row.is_intact():
        logger.error("integrity_violation: the row seal of %s does not fit", row.pk)
        return False
    return True
