"""Protect views of Django by a decorator. The credential is in `request.credential`.

    @requires("reports:read")
    def reports(request: KeyportalRequest) -> HttpResponse:

The settings are the options of `serving/options.py` with the prefix `KEYPORTAL_`, such as KEYPORTAL_PORTAL. What they
leave out is taken from the environment.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache, partial, wraps
from inspect import isawaitable
from typing import Any, Final, TypeVar, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.asyncio import async_unsafe
from django.utils.functional import SimpleLazyObject
from django.utils.module_loading import import_string

from keyportal_client.credential import Credential
from keyportal_client.errors import CredentialRefusedError
from keyportal_client.refusals import Refusal
from keyportal_client.serving.authenticator import AsyncAuthenticator, Authenticator, announced
from keyportal_client.serving.incoming import EnvironRequest
from keyportal_client.serving.options import FindUser, Options, check_needs

View = TypeVar("View", bound=Callable[..., Any])
PREFIX: Final = "KEYPORTAL_"


class KeyportalRequest(HttpRequest):
    """The type of a request of which the credential is known, for annotations."""

    credential: Credential
    acredential: Callable[[], Awaitable[Credential]]


class KeyportalMiddleware:
    """Sets `request.credential` for views that are not decorated. It is checked when it is first used.

    If it is refused, the view ends there, and the response says why. In code of an event loop, use
    `await request.acredential()`. Responses say when a credential ends, also those of Django REST framework.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Return the response, or what it can be awaited from."""
        target = cast("KeyportalRequest", request)
        target.credential = cast("Credential", SimpleLazyObject(partial(_check, request)))
        target.acredential = partial(_acheck, target)
        if iscoroutinefunction(self):
            return self._acall(request)
        return _announce(request, self.get_response(request))

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the response for a credential that is refused."""
        return _respond(exception.refusal) if isinstance(exception, CredentialRefusedError) else None

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        return _announce(request, await self.get_response(request))


def requires(*scopes: str, environment: str | None = None) -> Callable[[View], View]:
    """Return the decorator of a view, async or not, that needs a credential with these scopes.

    It needs no middleware. With the setting KEYPORTAL_USER, `request.user` is what that returns, whatever
    the session says.
    """
    check_needs(scopes, environment)
    needed: dict[str, Any] = {"scopes": scopes, "environment": environment}

    def decorate(view: View) -> View:
        async def in_event_loop(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refused = await _admit_async(request, needed)
            if refused is not None:
                return refused
            found = view(request, *args, **kwargs)
            return _announce(request, await found if isawaitable(found) else found)

        is_async = iscoroutinefunction(view)

        @wraps(view)
        def protected(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            # Not whether the view is async: `dispatch` of an asynchronous class is an ordinary method.
            if is_async or _is_in_event_loop():
                return in_event_loop(request, *args, **kwargs)
            refused = _admit(request, needed)
            return refused if refused is not None else _announce(request, view(request, *args, **kwargs))

        if iscoroutinefunction(view):
            markcoroutinefunction(protected)
        # No browser sends a credential by itself, so there is nothing that another site's form could use.
        vars(protected)["csrf_exempt"] = True
        return cast("View", protected)

    return decorate


@cache
def authenticator() -> Authenticator:
    """Return what checks credentials in threads, as the settings say."""
    return Authenticator(**_options())


@cache
def async_authenticator() -> AsyncAuthenticator:
    """Return what checks credentials in event loops."""
    return AsyncAuthenticator(**_options())


def find_user() -> FindUser | None:
    """Return the function of the setting KEYPORTAL_USER, which may be a path."""
    found: Any = getattr(settings, f"{PREFIX}USER", None)
    return cast("FindUser", import_string(found)) if isinstance(found, str) else found


def _options() -> Options:
    named = {name: f"{PREFIX}{name.upper()}" for name in Options.__annotations__}
    return cast("Options", {name: getattr(settings, key) for name, key in named.items() if hasattr(settings, key)})


def _check(request: HttpRequest) -> Credential:
    return async_unsafe("Use await request.acredential().")(authenticator().authenticate)(EnvironRequest(request.META))


async def _acheck(request: KeyportalRequest) -> Credential:
    request.credential = await async_authenticator().authenticate(EnvironRequest(request.META))
    return request.credential


def _admit(request: HttpRequest, needed: dict[str, Any]) -> HttpResponse | None:
    """Set the credential and the user of a request, or return why there is none."""
    try:
        credential = authenticator().authenticate(EnvironRequest(request.META), **needed)
    except CredentialRefusedError as error:
        return _respond(error.refusal)
    cast("KeyportalRequest", request).credential = credential
    if (find := find_user()) is not None:
        _set_user(request, find(credential))
    return None


async def _admit_async(request: HttpRequest, needed: dict[str, Any]) -> HttpResponse | None:
    try:
        credential = await async_authenticator().authenticate(EnvironRequest(request.META), **needed)
    except CredentialRefusedError as error:
        return _respond(error.refusal)
    cast("KeyportalRequest", request).credential = credential
    if (find := find_user()) is not None:
        _set_user(request, await sync_to_async(find)(credential))
    return None


def _set_user(request: HttpRequest, user: Any) -> None:
    async def auser() -> Any:
        return user

    vars(request).update(user=user, auser=auser)


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _respond(refusal: Refusal) -> HttpResponse:
    status, headers, body = authenticator().respond(refusal)
    return HttpResponse(body, status=status, headers=headers)


def _announce(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Return the response with the headers that say when the credential ends."""
    for name, value in announced(EnvironRequest(request.META)).items():
        response.headers[name] = value
    return response


def _begin_anew(*, setting: str, **_: Any) -> None:
    if setting.startswith(PREFIX):
        authenticator.cache_clear()
        async_authenticator.cache_clear()


setting_changed.connect(_begin_anew)
