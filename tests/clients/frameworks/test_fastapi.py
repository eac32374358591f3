"""What only FastAPI has: the description of the API, dependencies of dependencies, and handlers of exceptions."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient

from keyportal_client import Credential
from keyportal_client.errors import ConfigurationError
from keyportal_client.fastapi import CredentialRefused, Keyportal
from keyportal_client.testing import InMemoryPortal
from keyportal_client.testing.plugin import MakeKey
from tests.clients.frameworks.services import SCOPE

pytestmark = pytest.mark.once


def service(keyportal: Keyportal, **more: Any) -> FastAPI:
    app, required = FastAPI(**more), Depends(keyportal.requires(SCOPE))

    @app.get("/reports")
    async def reports(credential: Annotated[Credential, required]) -> str:
        return credential.owner_id

    return app


def test_the_description_says_how_to_send_a_credential_and_which_scopes_it_needs() -> None:
    described = TestClient(service(Keyportal())).get("/openapi.json").json()
    assert described["paths"]["/reports"]["get"]["security"] == [{"keyportal": [SCOPE]}]
    scheme = described["components"]["securitySchemes"]["keyportal"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert "parameters" not in described["paths"]["/reports"]["get"]


def test_a_request_is_counted_once_however_many_dependencies_it_has(
    keyportal: InMemoryPortal, api_key: MakeKey
) -> None:
    protection, key = Keyportal(), api_key([SCOPE])
    app = service(protection, dependencies=[Depends(protection.requires())])
    assert TestClient(app).get("/reports", headers=key.headers).status_code == 200
    assert keyportal.usage == {key.id: {"accepted": 1}}


def test_an_application_may_answer_refusals_in_a_way_of_its_own(keyportal: InMemoryPortal) -> None:
    app = service(Keyportal())

    @app.exception_handler(CredentialRefused)
    async def answer(request: Request, error: CredentialRefused) -> PlainTextResponse:
        return PlainTextResponse(error.refusal.code, 418)

    response = TestClient(app).get("/reports")
    assert (response.status_code, response.text) == (418, "missing_credential")


def test_status_and_challenge_are_right_even_if_starlette_keeps_its_handlers_elsewhere(
    keyportal: InMemoryPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyportal_client.fastapi.HANDLERS", "elsewhere")
    response = TestClient(service(Keyportal())).get("/reports")
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="keyportal"')
    assert response.json() == {"detail": "No credential was sent"}


def test_an_application_below_another_answers_alike(keyportal: InMemoryPortal) -> None:
    app = FastAPI()
    app.mount("/below", service(Keyportal()))
    assert TestClient(app).get("/below/reports").json()["code"] == "missing_credential"


def test_the_user_is_what_an_asynchronous_function_finds(keyportal: InMemoryPortal, api_key: MakeKey) -> None:
    async def find(credential: Credential) -> str:
        return f"row of {credential.owner_id}"

    app = FastAPI()
    required = Depends(Keyportal(user=find).user(SCOPE))

    @app.get("/me")
    def me(user: Annotated[str, required]) -> str:
        return user

    assert TestClient(app).get("/me", headers=api_key([SCOPE]).headers).json().startswith("row of usr_")
    assert TestClient(app).get("/me", headers=api_key().headers).status_code == 403


def test_a_user_needs_a_function_that_finds_it() -> None:
    with pytest.raises(ConfigurationError, match="user="):
        Keyportal().user(SCOPE)
