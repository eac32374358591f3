"""What the views of the management API share: the caller and its keys, versions, and calls that may be repeated."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.db import transaction
from django.http import Http404
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from apikeys.api.answers import keys_json
from apikeys.api.callers import Caller
from apikeys.errors import ChangedMeanwhileError
from apikeys.models import APIKey
from apikeys.services.idempotency import Answer, Call, answer_once
from credentials.permissions import HasScope

MAX_NAME: Final = 255
CHANGED: Final = "This key has another ETag now. Read it again."


class ManagementView(APIView):
    """A view of the management API: reading needs `keys:read`, everything else `keys:write`."""

    @override
    def get_permissions(self) -> Sequence[Any]:
        """Return the permission that the method needs."""
        return [HasScope("keys:read" if self.request.method in ("GET", "HEAD") else "keys:write")()]

    def own_key(self, request: Request, key_id: str) -> APIKey:
        """Return the caller's key. Raises `Http404` for another's as for one that does not exist."""
        key = Caller.of(request).keys().filter(pk=key_id).first() if key_id.isprintable() else None
        if key is None:
            raise Http404
        return key

    def change(
        self, request: Request, key_id: str, act: Callable[[APIKey], object], code: int = status.HTTP_200_OK
    ) -> Response:
        """Act on the caller's key and answer with the key as it is then; with `secret`, if `act` returns a text."""

        def changed() -> tuple[APIKey, Answer]:
            key = self.expected_key(request, key_id)
            secret = act(key)
            return key, key_answer(self.own_key(request, key_id), code, secret if isinstance(secret, str) else None)

        return respond_once(request, changed)

    def expected_key(self, request: Request, key_id: str) -> APIKey:
        """Return the caller's key, locked, in the version that the request may name.

        What the caller may do with it is decided by what it is until the verb has ended. On SQLite the transaction is
        IMMEDIATE and already alone. Raises `ChangedMeanwhileError`, `CallerChangedError`, `Http404`.
        """
        APIKey.objects.select_for_update(no_key=True).only("pk").filter(pk=self.own_key(request, key_id).pk).first()
        key = self.own_key(request, key_id)
        Caller.of(request).confirm()
        refuse_other_version(request, key)
        return key


def key_answer(key: APIKey, code: int = status.HTTP_200_OK, secret: str | None = None) -> Answer:
    """Return the answer about a key, with its ETag; with a new secret, the only time."""
    [body] = keys_json([key])
    if secret is not None:
        body["secret"] = secret
    return Answer(code, body, {"ETag": etag(key)})


def respond(answer: Answer) -> Response:
    """Return an answer as a response, which is never stored."""
    return Response(answer.body, answer.status, headers={"Cache-Control": "no-store", **answer.headers})


def respond_once(request: Request, act: Callable[[], tuple[APIKey, Answer]]) -> Response:
    """Return the response of a verb, which is carried out once for each `Idempotency-Key` of the caller.

    The verb and its answer are one transaction. Raises `ValidationError` for a header that is not such a key.
    """
    name, caller = request.headers.get("Idempotency-Key"), Caller.of(request)
    if name is None or request.method != "POST":
        with transaction.atomic():
            return respond(act()[1])
    if not (1 <= len(name) <= MAX_NAME and name.isascii() and name.isprintable() and " " not in name):
        raise ValidationError([f"Idempotency-Key: send 1 to {MAX_NAME} visible ASCII characters."])
    same = json.dumps([request.method, request.get_full_path(), request.data], sort_keys=True).encode()
    call = Call(caller=caller.name, name=name, request=same)
    answer, is_replayed = answer_once(call, act, check=caller.refuse_secret_again, origin=caller.origin)
    response = respond(answer)
    if is_replayed:
        response["Idempotency-Replayed"] = "true"
    return response


def etag(key: APIKey) -> str:
    """Return the ETag of a key (RFC 9110 §8.8.3): it changes with every verb, and not by use."""
    return f'"{key.version}"'


def is_conditional(request: Request) -> bool:
    """Return whether the request names the version that it is about (`If-Match`, RFC 9110 §13.1.1)."""
    return request.headers.get("If-Match", "*").strip() != "*"


def refuse_other_version(request: Request, key: APIKey) -> None:
    """Raise `ChangedMeanwhileError` if the request is about another version of the key."""
    if is_conditional(request) and etag(key) not in [tag.strip() for tag in request.headers["If-Match"].split(",")]:
        raise ChangedMeanwhileError(CHANGED)
