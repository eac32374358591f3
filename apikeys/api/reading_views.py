"""The management API: a key's usage and history, and the scopes that its caller can give."""

from typing import Final

from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys import usage
from apikeys.api.answers import event_json, scope_json, usage_json
from apikeys.api.callers import Caller
from apikeys.api.cursors import PARAMETERS, page_of, query_of
from apikeys.api.management import ManagementView, respond
from apikeys.services.idempotency import Answer
from audit.models import Event
from credentials.scopes.models import Scope

DAYS: Final = {"hour": (2, 7), "day": (30, 90)}
"""For each unit, the days that are returned by default, and the most."""


class UsageView(ManagementView):
    """`GET` returns the calls of a key by outcome."""

    def get(self, request: Request, key_id: str) -> Response:
        """Return 200 with the hours or days that had calls, oldest first, in UTC."""
        key = self.own_key(request, key_id)
        query = query_of(request, "by", "days")
        by = query.get("by", "day")
        if by not in DAYS:
            raise ValidationError({"by": ["Send hour or day."]})
        default, most = DAYS[by]
        days = query.get("days", str(default))
        if not (days.isascii() and days.isdecimal() and len(days) <= len(str(most)) and 1 <= int(days) <= most):
            raise ValidationError({"days": [f"Send a number from 1 to {most}."]})
        items = usage_json(usage.outcomes_at(key.pk, usage.Unit(by), days=int(days)))
        return respond(Answer(status.HTTP_200_OK, {"by": by, "days": int(days), "items": items}, {}))


class EventsView(ManagementView):
    """`GET` returns the part of the audit trail that is about a key."""

    def get(self, request: Request, key_id: str) -> Response:
        """Return 200 with a page of events, newest first."""
        key, caller = self.own_key(request, key_id), Caller.of(request)
        query = query_of(request, *PARAMETERS)
        rows = Event.objects.filter(subject_type="key", subject_id=key.pk).order_by("-at", "-id")
        page = page_of(
            rows,
            query,
            time="at",
            of=f"events {caller.name} {key.pk}",
            to_json=lambda events: [event_json(event, caller.owner) for event in events],
        )
        return respond(Answer(status.HTTP_200_OK, page, {}))


class ScopesView(ManagementView):
    """`GET` returns the catalogue, as far as the caller may give it to a key."""

    def get(self, request: Request) -> Response:
        """Return 200 with the scopes, by name."""
        query_of(request)
        caller = Caller.of(request)
        free = Scope.objects.filter(restricted=False).order_by("name").with_valid_seals()
        items = [scope_json(scope) for scope in free if caller.scopes is None or scope.name in caller.scopes]
        return respond(Answer(status.HTTP_200_OK, {"items": items}, {}))
