"""Audit events for denied access: which signed-in user was refused where, and which action of an operator."""

import logging
from typing import Final

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest

from accounts.attempts import AttemptLimit
from accounts.models import User
from accounts.rights import ActionRefusedError
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from credentials.runtime.database_writes import database_writes
from keyportal.logs import route

logger = logging.getLogger(__name__)

DENIED: Final = AttemptLimit("events of denied access of a person to a route", fixed="1 per 5 minutes")
REFUSED: Final = AttemptLimit("events of refused actions of an operator", fixed="100 per 5 minutes")
"""One event says as much as a thousand, and repeated requests must not fill the trail."""


def record_denied_access(request: HttpRequest, exception: Exception | None) -> None:
    """Record that a signed-in user was refused, with the route's pattern and never the requested path.

    An operator's POST is an action, and every one is recorded up to a limit. Everything else is recorded once in five
    minutes. The response is 403 even if the database can't be written.
    """
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return
    try:
        if isinstance(exception, ActionRefusedError) or (user.is_staff and _is_action(request)):
            _record_action(request, user, exception)
        elif not DENIED.hit(f"{user.pk} {route(request)}"):
            origin = Origin.of_request(request)
            record_event(EventType.ACCESS_DENIED, subject=f"user:{user.pk}", origin=origin, route=route(request))
    except (DatabaseError, InterfaceError) as error:
        database_writes().on_error(error)
        logger.exception("denied access could not be recorded")


def _record_action(request: HttpRequest, user: User, refused: Exception | None) -> None:
    if REFUSED.hit(user.pk):
        return
    subject, about = f"user:{user.pk}", {"route": route(request)}
    if isinstance(refused, ActionRefusedError):
        subject = refused.subject or subject
        about |= {"action": refused.action, "model": refused.model}
    origin = Origin.of_request(request)
    record_event(EventType.ACTION_REFUSED, subject=subject, origin=origin, **about)


def _is_action(request: HttpRequest) -> bool:
    match = request.resolver_match
    return request.method == "POST" and match is not None and match.app_name == "admin"
