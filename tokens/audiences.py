"""Audiences of access tokens: what a client requests as `resource` (RFC 8707) and a service expects as `aud`.

Audiences are compared character by character (RFC 7519 §2), so each has exactly one spelling. Nothing here writes.
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
    """A request for any audience, which no client can make: for inspecting or ending a token, not for using it."""

    ANY = "any"


ANY: Final = AnyAudience.ANY
AudienceRequest: TypeAlias = str | AnyAudience | None
"""The audience that a token must have; None for the portal's own."""


def expected_audience(requested: AudienceRequest) -> str | None:
    """Return the `aud` that a token must have, or None if any will do."""
    if requested is None:
        own: str = settings.KEYPORTAL_AUDIENCE
        return own
    return None if isinstance(requested, AnyAudience) else requested


def grant(resource: str | None) -> str:
    """Return the audience of a token for this resource (RFC 8707 §2); empty for the portal's own.

    Raises `InvalidTargetError` for an audience that operators have not registered.
    """
    if resource is None or resource == settings.KEYPORTAL_AUDIENCE:
        return ""
    if not is_registered(resource):
        raise InvalidTargetError
    return resource


def refuse_another(resource: str | None, *, of_log_in: str) -> None:
    """Raise `InvalidTargetError` unless the log-in can be refreshed for this resource (RFC 8707 §2.2).

    A log-in keeps its audience. A request without a resource means that audience; any other resource is refused. The
    log-in's own audience is refused too, once operators have removed it.
    """
    audience = of_log_in or settings.KEYPORTAL_AUDIENCE
    if resource not in (None, audience):
        raise InvalidTargetError
    if audience != settings.KEYPORTAL_AUDIENCE and not is_registered(audience):
        raise InvalidTargetError


def is_audience(text: str) -> bool:
    """Return whether this can be the audience of one of the portal's tokens, even one that operators have removed."""
    return text == settings.KEYPORTAL_AUDIENCE or is_resource(text)


def is_registered(uri: str) -> bool:
    """Return whether operators have registered this audience. Text that is not an absolute URI costs no query."""
    row = Audience.objects.filter(uri=uri).first() if is_resource(uri) else None
    if row is None:
        return False
    if not row.seal_is_valid():
        logger.error("integrity_violation: the row seal of %s does not match", row.pk)
        return False
    return True
