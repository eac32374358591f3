"""Protect views of Flask by a decorator. The credential is in `g.credential`.

A view asks for its scopes, below the route's decorator:

    keyportal = Keyportal()

    @app.get("/reports")
    @keyportal.requires("reports:read")
    def reports() -> ...:
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from flask import Response, after_this_request, current_app, g, request

from keyportal_client.errors import CredentialRefusedError
from keyportal_client.refusals import Refusal
from keyportal_client.serving.authenticator import Authenticator
from keyportal_client.serving.incoming import EnvironRequest
from keyportal_client.serving.options import FindUser, Options, check_needs

if TYPE_CHECKING:
    from typing_extensions import Unpack

View = TypeVar("View", bound=Callable[..., Any])


class Keyportal:
    """What all views of an application share: one verifier, with its records and its connections.

    `user` is a function that returns who a credential's owner is in your service: `g.user`.
    """

    def __init__(self, *, user: FindUser | None = None, **options: "Unpack[Options]") -> None:
        self._find_user = user
        self._authenticator = Authenticator(**options)
        self._authenticator.note_what_is_missing()

    def requires(self, *scopes: str, environment: str | None = None) -> Callable[[View], View]:
        """Return the decorator of a view, async or not, that needs a credential with these scopes.

        It stands below the route's decorator, so that Flask calls what it returns.
        """
        check_needs(scopes, environment)

        def decorate(view: View) -> View:
            @wraps(view)
            def protected(*args: Any, **kwargs: Any) -> Any:
                refusal = self._authenticate(scopes, environment)
                if refusal is not None:
                    return self._respond(refusal)
                return current_app.ensure_sync(view)(*args, **kwargs)

            return cast("View", protected)

        return decorate

    def close(self) -> None:
        """Send the last counts, and close the connections. The end of the process does it too."""
        self._authenticator.close()

    def _authenticate(self, scopes: tuple[str, ...], environment: str | None) -> Refusal | None:
        """Set `g.credential`, or return why there is none."""
        try:
            incoming = EnvironRequest(request.environ)
            credential = self._authenticator.authenticate(incoming, scopes=scopes, environment=environment)
        except CredentialRefusedError as error:
            return error.refusal
        g.credential = credential
        if self._find_user is not None:
            g.user = self._find_user(credential)
        if credential.headers:
            after_this_request(_announcing(credential.headers))
        return None

    def _respond(self, refusal: Refusal) -> Response:
        status, headers, body = self._authenticator.respond(refusal)
        return Response(body, status, headers)


def _announcing(headers: Mapping[str, str]) -> Callable[[Response], Response]:
    def announce(response: Response) -> Response:
        response.headers.update(headers)
        return response

    return announce
