"""Protect an application of Starlette, or some of its routes. The credential is in `request.state.credential`.

A route, a mount or an application asks for its scopes:

    keyportal = Keyportal()
    app = Starlette(routes=[Route("/reports", reports, middleware=[keyportal.requires("reports:read")])])
"""

from typing import TYPE_CHECKING

from starlette.middleware import Middleware

from keyportal_client.asgi import KeyportalMiddleware
from keyportal_client.serving.authenticator import AsyncAuthenticator
from keyportal_client.serving.options import FindUser, Options, check_needs

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Keyportal", "KeyportalMiddleware"]


class Keyportal:
    """What all routes of an application share: one verifier, with its records and its connections.

    `user` is a function, async or not, that returns who a credential's owner is in your service:
    `request.state.user`.
    """

    def __init__(self, *, user: FindUser | None = None, **options: "Unpack[Options]") -> None:
        self._find_user = user
        self._authenticator = AsyncAuthenticator(**options)
        self._authenticator.note_what_is_missing()

    def requires(self, *scopes: str, environment: str | None = None) -> Middleware:
        """Return the middleware for a route, a mount or an application that needs a credential with these scopes."""
        check_needs(scopes, environment)
        return Middleware(
            KeyportalMiddleware,
            scopes=scopes,
            environment=environment,
            user=self._find_user,
            authenticator=self._authenticator,
        )

    async def close(self) -> None:
        """Send the last counts, and close the connections. The end of the process does it too."""
        await self._authenticator.close()
