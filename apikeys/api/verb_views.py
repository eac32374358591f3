"""The management API: rotate a key, end the overlap, pause and resume it."""

from collections.abc import Sequence
from typing import Any

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from apikeys import services
from apikeys.api.bodies import NoBody, PauseBody, RotationBody
from apikeys.api.callers import Caller
from apikeys.api.management import ManagementView
from apikeys.errors import RotatingError
from apikeys.models import APIKey
from apikeys.services.changing import refuse_ended
from apikeys.services.rotation import current_secret
from credentials.permissions import HasCredential, HasScope

SELF_ROTATE = "self:rotate"


class RotateView(ManagementView):
    """`POST` gives a key another secret: with `keys:write`, or the key itself with `self:rotate`."""

    @override
    def get_permissions(self) -> Sequence[Any]:
        """Return the permission for another key, or for the one that calls."""
        return [CanRotate()] if self.request.method == "POST" else super().get_permissions()

    def post(self, request: Request, key_id: str) -> Response:
        """Return 201 with the key and its new secret, which the API gives this once."""
        self.own_key(request, key_id)
        values, caller = RotationBody.read(request.data), Caller.of(request)
        return self.change(request, key_id, lambda key: _rotate(caller, key, values), status.HTTP_201_CREATED)


class EndOverlapView(ManagementView):
    """`POST` retires the former secret of a key before its time."""

    def post(self, request: Request, key_id: str) -> Response:
        """Return 200 with the key, whether or not an overlap was running."""
        self.own_key(request, key_id)
        NoBody.read(request.data)
        origin = Caller.of(request).origin
        return self.change(request, key_id, lambda key: services.end_overlap(key=key, origin=origin))


class PauseView(ManagementView):
    """`POST` refuses a key for now."""

    def post(self, request: Request, key_id: str) -> Response:
        """Return 200 with the key, whether or not it was paused before."""
        self.own_key(request, key_id)
        values, origin = PauseBody.read(request.data), Caller.of(request).origin
        return self.change(request, key_id, lambda key: services.pause(key=key, origin=origin, **values))


class ResumeView(ManagementView):
    """`POST` accepts a paused key again."""

    def post(self, request: Request, key_id: str) -> Response:
        """Return 200 with the key, whether or not it was paused before."""
        self.own_key(request, key_id)
        NoBody.read(request.data)
        caller = Caller.of(request)
        return self.change(request, key_id, lambda key: _resume(caller, key))


class CanRotate(HasCredential):
    """Allows callers with `keys:write`, and a key with `self:rotate` that names itself."""

    @override
    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the caller may rotate the key. Raises `CredentialRefused`."""
        if not super().has_permission(request, view):
            return False
        caller = Caller.of(request)
        is_itself = bool(caller.secret_id) and caller.key_id == view.kwargs["key_id"]
        needed = SELF_ROTATE if is_itself and SELF_ROTATE in (caller.scopes or ()) else "keys:write"
        return HasScope(needed)().has_permission(request, view)


def _rotate(caller: Caller, key: APIKey, values: dict[str, Any]) -> str:
    refuse_ended(key)
    newest = current_secret(key).pk
    if caller.key_id == key.pk and caller.secret_id != newest:
        # Otherwise the holder of a leaked secret could go on with a fresh one, and shut the key's owner out.
        raise RotatingError("A key can be rotated by its newest secret only.")
    caller.refuse_key(key)
    return services.rotate(key=key, replaces=newest, origin=caller.origin, **values)[1]


def _resume(caller: Caller, key: APIKey) -> bool:
    caller.refuse_key(key)
    return services.resume(key=key, origin=caller.origin)
