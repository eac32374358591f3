"""No framework's module shows a secret: not in what it raises, with all that its frames hold, and not in the log."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.test import RequestFactory, override_settings
from rest_framework.request import Request
from starlette.requests import HTTPConnection

from keyportal_client.drf import CredentialRefused, HasScope, KeyportalAuthentication
from keyportal_client.errors import CredentialRefusedError
from keyportal_client.fastapi import CredentialRefused as RefusedByFastAPI
from keyportal_client.fastapi import Keyportal
from keyportal_client.serving.authenticator import AsyncAuthenticator, Authenticator
from keyportal_client.serving.incoming import EnvironRequest, ScopeRequest
from keyportal_client.testing import InMemoryPortal
from keyportal_client.testing.plugin import MakeKey
from tests.clients.frameworks.conftest import Serve
from tests.clients.frameworks.services import SCOPE, as_django

pytestmark = pytest.mark.once
UNKNOWN: Final = "kp_live_plantedInATestOfFrameworks"


def shown(error: BaseException | None) -> Iterator[str]:
    """Yield what somebody sees who gets the exception with the locals of our frames, and of all that it came from."""
    while error is not None:
        yield f"{error!r} {vars(error)}"
        frames = error.__traceback__
        while frames is not None:
            if "keyportal_client" in frames.tb_frame.f_code.co_filename:
                yield repr(frames.tb_frame.f_locals)
            frames = frames.tb_next
        error = error.__cause__ or error.__context__


@pytest.fixture(params=["unknown", "not enough", "unavailable", "twice"])
def sent(request: pytest.FixtureRequest, keyportal: InMemoryPortal, api_key: MakeKey) -> Iterator[list[str]]:
    """The credentials of a request that is refused."""
    secret = UNKNOWN if request.param == "unknown" else api_key().secret
    if request.param == "unavailable":
        with keyportal.away():
            yield [secret]
    else:
        yield [secret, secret] if request.param == "twice" else [secret]


def test_what_an_authenticator_raises_holds_no_secret(sent: list[str], keyportal: InMemoryPortal) -> None:
    async def ask() -> None:
        headers = [(b"authorization", f"Bearer {secret}".encode()) for secret in sent]
        await AsyncAuthenticator().authenticate(ScopeRequest({"client": None, "headers": headers}), scopes=[SCOPE])

    with pytest.raises(CredentialRefusedError) as in_loop:
        asyncio.run(ask())
    environ = {"HTTP_AUTHORIZATION": ",".join(f"Bearer {secret}" for secret in sent)}
    with pytest.raises(CredentialRefusedError) as in_thread:
        Authenticator().authenticate(EnvironRequest(environ), scopes=[SCOPE])
    for text in [*shown(in_loop.value), *shown(in_thread.value)]:
        assert sent[0] not in text
        assert keyportal.key not in text


def test_what_rest_framework_and_fastapi_raise_holds_none(sent: list[str], keyportal: InMemoryPortal) -> None:
    header = ",".join(f"Bearer {secret}" for secret in sent)
    plain = RequestFactory().get("/", headers={"Authorization": header})
    request, permission = Request(plain, authenticators=[KeyportalAuthentication()]), HasScope(SCOPE)()
    with override_settings(**as_django({})), pytest.raises(CredentialRefused) as by_rest_framework:
        permission.has_permission(request, None)  # type: ignore[arg-type]
    connection = HTTPConnection({"type": "http", "client": None, "headers": [(b"authorization", header.encode())]})
    with pytest.raises(RefusedByFastAPI) as by_fastapi:
        asyncio.run(Keyportal()._authenticate(connection, (SCOPE,), None))
    for text in [*shown(by_rest_framework.value), *shown(by_fastapi.value)]:
        assert sent[0] not in text.replace(repr(connection.scope), "")
        assert keyportal.key not in text


def test_the_log_holds_no_secret(serve: Serve, sent: list[str], keyportal: InMemoryPortal, caplog: Any) -> None:
    with caplog.at_level(logging.DEBUG):
        serve()(*[("Authorization", f"Bearer {secret}") for secret in sent])
    assert sent[0] not in caplog.text
    assert keyportal.key not in caplog.text
