"""The management API: list, create, read, change and revoke keys."""

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError as InvalidTextError
from django.db import transaction
from django.urls import reverse
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys import services
from apikeys.api.answers import keys_json
from apikeys.api.bodies import KeyChangesBody, NewKeyBody
from apikeys.api.callers import Caller
from apikeys.api.cursors import PARAMETERS, page_of, query_of
from apikeys.api.management import ManagementView, is_conditional, key_answer, respond, respond_once
from apikeys.errors import ChangedMeanwhileError
from apikeys.models import REASON_LENGTH, APIKey, Environment
from apikeys.models.keys import APIKeyQuerySet
from apikeys.names import clean_reason
from apikeys.services.idempotency import Answer
from apikeys.services.policies import Expiry

STATES: Final = ("active", "paused", "expired", "revoked")
MAX_QUERY: Final = 100
TRIES: Final = 5
"""How often a change without If-Match is tried again, if others change the key at the same time."""


class KeysView(ManagementView):
    """`GET` lists the caller's keys, `POST` creates one."""

    def get(self, request: Request) -> Response:
        """Return 200 with a page of keys, newest first, never with a secret."""
        query = query_of(request, *PARAMETERS, "state", "environment", "q")
        caller = Caller.of(request)
        rows = _filtered(caller.keys(), query)
        page = page_of(rows, query, time="created_at", of=f"keys {caller.name}", to_json=keys_json)
        return respond(Answer(status.HTTP_200_OK, page, {}))

    def post(self, request: Request) -> Response:
        """Return 201 with the key and its secret, which the API gives this once."""
        values, caller = NewKeyBody.read(request.data), Caller.of(request)
        return respond_once(request, lambda: _create(caller, values))


class KeyView(ManagementView):
    """`GET` reads a key, `PATCH` changes it, `DELETE` revokes it."""

    def get(self, request: Request, key_id: str) -> Response:
        """Return 200 with the key and its ETag."""
        return respond(key_answer(self.own_key(request, key_id)))

    def patch(self, request: Request, key_id: str) -> Response:
        """Return 200 with the key, after changing what the body names and nothing else."""
        self.own_key(request, key_id)
        values = KeyChangesBody.read(request.data)
        for tries_left in reversed(range(TRIES)):
            try:
                with transaction.atomic():
                    return self._patch(request, key_id, values)
            except ChangedMeanwhileError:
                if is_conditional(request) or not tries_left:
                    raise
        raise AssertionError  # the last try returns or raises

    def delete(self, request: Request, key_id: str) -> Response:
        """Return 204 after revoking the key, whether or not it was revoked before."""
        self.own_key(request, key_id)
        reason = _reason(query_of(request, "reason").get("reason", ""))
        with transaction.atomic():
            key = self.expected_key(request, key_id)
            services.revoke(key=key, reason=reason, origin=Caller.of(request).origin)
        return Response(status=status.HTTP_204_NO_CONTENT, headers={"Cache-Control": "no-store"})

    def _patch(self, request: Request, key_id: str, values: Mapping[str, Any]) -> Response:
        key, caller = self.expected_key(request, key_id), Caller.of(request)
        before = {"name": key.name, "scopes": key.scope_list, "networks": key.network_list}
        after: dict[str, Any] = {**before, "expires_at": key.expires_at, **values}
        caller.refuse_widening(key, after)
        services.edit_key(key=key, origin=caller.origin, **after)
        return respond(key_answer(self.own_key(request, key_id)))


def _create(caller: Caller, values: Mapping[str, Any]) -> tuple[APIKey, Answer]:
    chosen = {"environment": caller.environments[0], **values}
    chosen.setdefault("expires_at", caller.expires_at or Expiry.DEFAULT)
    caller.refuse_replaced()
    caller.refuse_environment(chosen["environment"])
    caller.refuse_scopes(chosen.get("scopes", ()))
    caller.refuse_networks(chosen.setdefault("networks", list(caller.networks)))
    if chosen["expires_at"] is not Expiry.DEFAULT:
        caller.refuse_expiry(chosen["expires_at"])
    key, secret = services.create_key(owner=caller.owner, rate_limit=caller.rate_limit, origin=caller.origin, **chosen)
    caller.confirm()  # in the transaction of the creation, and as late as can be
    answer = key_answer(key, status.HTTP_201_CREATED, secret)
    location = {"Location": reverse("api_key", args=[key.pk])}
    return key, Answer(answer.status, answer.body, {**answer.headers, **location})


def _filtered(keys: APIKeyQuerySet, query: Mapping[str, str]) -> APIKeyQuerySet:
    """Return the keys that the query asks for. Raises `ValidationError`."""
    errors = {}
    if query.get("state", STATES[0]) not in STATES:
        errors["state"] = [f"Send {', '.join(STATES[:-1])} or {STATES[-1]}."]
    if query.get("environment", Environment.LIVE) not in Environment.values:
        errors["environment"] = ["Send live or test."]
    if len(query.get("q", "")) > MAX_QUERY:
        errors["q"] = [f"Send at most {MAX_QUERY} characters."]
    if errors:
        raise ValidationError(errors)
    if "environment" in query:
        keys = keys.filter(environment=query["environment"])
    return keys.in_state(query.get("state", "")).matching(query.get("q", ""))


def _reason(text: str) -> str:
    """Return the reason for a revocation. Raises `ValidationError`."""
    if len(text) > REASON_LENGTH:
        raise ValidationError({"reason": [f"Send at most {REASON_LENGTH} characters."]})
    try:
        return clean_reason(text)
    except InvalidTextError as error:
        raise ValidationError({"reason": error.messages}) from error
