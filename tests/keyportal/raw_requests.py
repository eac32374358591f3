"""What tests over raw sockets send: a client, and the head of its request for a token."""

import secrets
from collections.abc import Callable
from typing import Final

import pytest

from tests.oauth_client import ClientKey, basic
from tests.portal import FORM, Portal
from tests.wire import head

GRANT: Final = b"grant_type=client_credentials"
CHUNKS: Final = "Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def client(portal: Portal) -> ClientKey:
    email = f"wire-{secrets.token_hex(4)}@example.com"
    portal.make_developer(email)
    return ClientKey(*portal.make_key(email))


@pytest.fixture(scope="module")
def token_head(client: ClientKey) -> Callable[..., bytes]:
    """Make the head of a request for a token."""

    def make(*lines: str) -> bytes:
        authorization = f"Authorization: {basic(client.id, client.secret)}"
        return head("POST", "/oauth/token", f"Content-Type: {FORM}", authorization, *lines)

    return make
