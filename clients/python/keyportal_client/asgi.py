"""Protect an application of any framework that speaks ASGI. It needs none of them.

Wrap the whole application, or a part of it:

    app = KeyportalMiddleware(app, scopes=["reports:read"])
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from keyportal_client.credential import Credential
from keyportal_client.errors import CredentialRefusedError
from keyportal_client.refusals import Refusal
from keyportal_client.serving.authenticator import AUTHORIZATION, AsyncAuthenticator
from keyportal_client.serving.incoming import Incoming, ScopeRequest
from keyportal_client.serving.options import FindUser, Options, check_needs
from keyportal_client.serving.responses import ProblemResponse, close_code

if TYPE_CHECKING:
    from typing_extensions import Unpack

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

DENIAL: Final = "websocket.http.response"
"""The extension by which a server answers a handshake with a response instead of an empty 403."""
ANSWERS = ("http.response.start", "websocket.accept", f"{DENIAL}.start")


class KeyportalMiddleware:
    """Lets through what has a good credential, as `scope["state"]["credential"]`, and answers everything else.

    A WebSocket's credential is checked at its handshake. A CORS preflight, which has none, is left to the application.
    `user` is a function that returns who a credential's owner is in your service, as `scope["state"]["user"]`.
    `authenticator` is one that several middlewares share; without it, this one makes its own from the options.
    """

    def __init__(
        self,
        app: App,
        *,
        scopes: Collection[str] = (),
        user: FindUser | None = None,
        authenticator: AsyncAuthenticator | None = None,
        **options: "Unpack[Options]",
    ) -> None:
        environment = options.get("environment")
        check_needs(scopes, environment)
        self._app = app
        self._needed: dict[str, Any] = {"scopes": scopes, "environment": environment}
        self._find_user = user
        self._authenticator = authenticator or AsyncAuthenticator(**options)
        if authenticator is None:
            self._authenticator.note_what_is_missing()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request or handshake."""
        incoming = ScopeRequest(scope)
        if scope["type"] == "lifespan" or _is_preflight(scope, incoming):
            await self._app(scope, receive, send)
            return
        try:
            check, needed = self._authenticator, self._needed
            credential = check.at_once(incoming, **needed) or await check.ask(incoming, **needed)
        except CredentialRefusedError as error:
            refusal = error.refusal
        else:
            # A scope of its own: nothing of one request is left in what a server may share among several.
            state = {**scope.get("state", {}), "credential": credential}
            if self._find_user is not None:
                state["user"] = await user_of(credential, self._find_user)
            await self._app({**scope, "state": state}, receive, _announcing(send, credential.headers))
            return
        await _refuse(scope, receive, send, refusal, self._authenticator.respond(refusal))


async def user_of(credential: Credential, find_user: FindUser) -> Any:
    """Return who the owner is in the service. A function that may block is called in a thread."""
    if inspect.iscoroutinefunction(find_user):
        return await find_user(credential)
    return await asyncio.to_thread(find_user, credential)


def _is_preflight(scope: Scope, incoming: Incoming) -> bool:
    """Return whether a browser asks if it may send a request, which it does without a credential (CORS)."""
    if scope["type"] != "http" or scope["method"] != "OPTIONS" or incoming.values(AUTHORIZATION):
        return False
    return bool(incoming.values("Origin") and incoming.values("Access-Control-Request-Method"))


def _announcing(send: Send, headers: Mapping[str, str]) -> Send:
    """Return how a response is sent that also says when its credential ends."""
    if not headers:
        return send

    async def announcing(message: Message) -> None:
        if message["type"] in ANSWERS:
            message = {**message, "headers": [*message.get("headers", ()), *_raw(headers)]}
        await send(message)

    return announcing


async def _refuse(scope: Scope, receive: Receive, send: Send, refusal: Refusal, response: ProblemResponse) -> None:
    kind = "http.response"
    if scope["type"] == "websocket":
        await receive()  # the handshake
        kind = DENIAL
        if DENIAL not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": close_code(refusal), "reason": refusal.code})
            return
    headers = [*_raw(response.headers), (b"content-length", str(len(response.body)).encode())]
    await send({"type": f"{kind}.start", "status": response.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": response.body})


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
