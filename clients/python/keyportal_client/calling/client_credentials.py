"""Exchange a key for access tokens (RFC 6749 §4.4), so that its secret goes to the portal alone."""

import base64
from collections.abc import Collection
from typing import Final, TypedDict
from urllib.parse import urlencode

from keyportal_client.address import PortalAddress
from keyportal_client.answers import json_of
from keyportal_client.caller import OF_FORM, is_well_formed
from keyportal_client.calling.oauth_answers import token_of
from keyportal_client.calling.renewing import AccessToken, RenewedCredential
from keyportal_client.conforming import conform
from keyportal_client.errors import CredentialError
from keyportal_client.shapes import Id
from keyportal_client.transport import TIMEOUT, Call, Transport

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105  # a path
ME_PATH: Final = "/api/v1/me"
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


class _Self(TypedDict):
    """What a key needs to know of itself."""

    client_id: Id


class ClientCredentials(RenewedCredential):
    """Access tokens for a key, which are renewed before they end. Thread-safe.

    `scopes` None asks for all that the key has. `service` is the API that the tokens are for (RFC 8707), where the
    portal knows several. `timeout` is in seconds.
    """

    def __init__(
        self,
        portal: str,
        key: str,
        *,
        scopes: Collection[str] | None = None,
        service: str | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        super().__init__()
        if not is_well_formed(key):
            raise CredentialError(f"This is not the secret of a key: {OF_FORM}")
        self._transport = Transport(PortalAddress.parse(portal), timeout=timeout, agent="(client)")
        self._key = key
        self._client_id = ""
        wanted = {"scope": None if scopes is None else " ".join(scopes), "resource": service}
        self._form = urlencode({"grant_type": "client_credentials"} | {k: v for k, v in wanted.items() if v}).encode()

    def __repr__(self) -> str:
        return f"<ClientCredentials at {self._transport.portal}>"

    @property
    def identity(self) -> str:
        """What tells this key from others."""
        return self._key

    def fetch(self) -> AccessToken:
        """Return the next token. Raises `KeyportalError`."""
        return token_of(self._transport.send(self._token_call(self._own_id())))

    def _token_call(self, client_id: str) -> Call:
        """Return the request for a token. Made apart, so that the key is in no frame of what `send` raises."""
        basic = base64.b64encode(f"{client_id}:{self._key}".encode()).decode()
        return Call("POST", TOKEN_PATH, {**_FORM, "Authorization": f"Basic {basic}"}, self._form)

    def _own_id(self) -> str:
        """Return the id of the key, which the portal is asked for once."""
        if not self._client_id:
            call = Call("GET", ME_PATH, {"Authorization": f"Bearer {self._key}"})
            self._client_id = conform(json_of(self._transport.send(call)), _Self)["client_id"]
        return self._client_id
