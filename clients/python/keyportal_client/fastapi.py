"""Protect routes of FastAPI by a dependency. Refusals are problem details, and /docs shows what a route needs.

A route, a router or an application asks for its scopes, WebSockets too:

    keyportal = Keyportal()

    @app.get("/reports")
    async def reports(credential: Annotated[Credential, Depends(keyportal.requires("reports:read"))]) -> ...:
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from fastapi import Depends, HTTPException, Response, Security, WebSocket
from fastapi.openapi.models import HTTPBearer
from fastapi.requests import HTTPConnection
from fastapi.security.base import SecurityBase

from keyportal_client.asgi import DENIAL, user_of
from keyportal_client.credential import Credential
from keyportal_client.errors import ConfigurationError, CredentialRefusedError
from keyportal_client.refusals import Refusal
from keyportal_client.serving.authenticator import AsyncAuthenticator
from keyportal_client.serving.incoming import ScopeRequest
from keyportal_client.serving.options import FindUser, Options, check_needs
from keyportal_client.serving.responses import ProblemResponse, close_code

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Credential", "CredentialRefused", "Keyportal"]

Dependency: TypeAlias = Callable[..., Awaitable[Credential]]
HANDLERS: Final = "starlette.exception_handlers"
"""Where Starlette keeps what answers exceptions, by class and by status."""


class CredentialRefused(HTTPException):  # named like FastAPI's own
    """A refusal as an exception. An application may answer it in a way of its own, by a handler for this class."""

    def __init__(self, refusal: Refusal, response: ProblemResponse) -> None:
        super().__init__(response.status, detail=refusal.reason.title, headers=response.headers)
        self.refusal = refusal
        self.response = response


class BearerScheme(SecurityBase):
    """How clients send a credential, for the description of the API (OpenAPI). It checks nothing."""

    def __init__(self, scheme_name: str) -> None:
        self.scheme_name = scheme_name
        self.model = HTTPBearer(description="An API key or access token of the developer portal.")

    async def __call__(self) -> None:
        """Do nothing: `Keyportal.requires` checks."""


class Keyportal:
    """What all routes of an application share: one verifier, with its records and its connections.

    `user` is a function, async or not, that returns who a credential's owner is in your service. `scheme_name` is how
    the description of the API calls the credential.
    """

    def __init__(
        self, *, user: FindUser | None = None, scheme_name: str = "keyportal", **options: "Unpack[Options]"
    ) -> None:
        self._find_user = user
        self._scheme = BearerScheme(scheme_name)
        self._authenticator = AsyncAuthenticator(**options)
        self._authenticator.note_what_is_missing()

    def requires(self, *scopes: str, environment: str | None = None) -> Dependency:
        """Return the dependency of a route, router or application that needs a credential with these scopes.

        It is for WebSockets too. It gives the `Credential`, which is also in `request.state.credential`.
        """
        check_needs(scopes, environment)
        scheme = Security(self._scheme, scopes=list(scopes))

        async def credential(connection: HTTPConnection, response: Response, _: Annotated[None, scheme]) -> Credential:
            found = await self._authenticate(connection, scopes, environment)
            if found.headers:
                response.headers.update(found.headers)
            connection.state.credential = found
            return found

        return credential

    def user(self, *scopes: str, environment: str | None = None) -> Callable[..., Awaitable[Any]]:
        """Return the dependency that requires the same, and gives what `user` returned for the credential."""
        find_user = self._find_user
        if find_user is None:
            raise ConfigurationError("Keyportal(user=…) says who a credential's owner is in your service.")
        required = Depends(self.requires(*scopes, environment=environment))

        async def user(credential: Annotated[Credential, required]) -> Any:
            return await user_of(credential, find_user)

        return user

    async def close(self) -> None:
        """Send the last counts, and close the connections. The end of the process does it too."""
        await self._authenticator.close()

    async def _authenticate(
        self, connection: HTTPConnection, scopes: tuple[str, ...], environment: str | None
    ) -> Credential:
        try:
            incoming = ScopeRequest(connection.scope)
            check = self._authenticator
            needed: dict[str, Any] = {"scopes": scopes, "environment": environment}
            return check.at_once(incoming, **needed) or await check.ask(incoming, **needed)
        except CredentialRefusedError as error:
            refusal = error.refusal
        handlers = connection.scope.get(HANDLERS)
        if handlers is not None:
            handlers[0].setdefault(CredentialRefused, _answer)
        raise CredentialRefused(refusal, self._authenticator.respond(refusal))


async def _answer(connection: HTTPConnection, error: CredentialRefused) -> Response | None:
    """Return the response. A handshake gets it if the server can send one, else it is closed."""
    status, headers, body = error.response
    response = Response(body, status, headers)
    if not isinstance(connection, WebSocket):
        return response
    if DENIAL in (connection.scope.get("extensions") or {}):
        await connection.send_denial_response(response)
    else:
        await connection.close(close_code(error.refusal), error.refusal.code)
    return None
