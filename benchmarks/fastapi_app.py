"""A FastAPI service that is measured: open, checked by keyportal-client, and with the portal asked each time."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

import httpx
from fastapi import Depends, FastAPI, Header, HTTPException, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Receive, Scope, Send

from keyportal_client import Credential
from keyportal_client.asgi import KeyportalMiddleware
from keyportal_client.fastapi import Keyportal

SCOPE: Final = "bench:read"
keyportal = Keyportal(service="bench")
portal = httpx.AsyncClient(
    base_url=os.environ["KEYPORTAL_PORTAL"], headers={"Authorization": f"Bearer {os.environ['KEYPORTAL_KEY']}"}
)


@asynccontextmanager
async def _until_the_end(_: FastAPI) -> AsyncIterator[None]:
    yield
    await portal.aclose()
    await keyportal.close()


api = FastAPI(lifespan=_until_the_end)
guarded = KeyportalMiddleware(api, scopes=[SCOPE], service="bench")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Send one path through the middleware."""
    await (guarded if scope.get("path") == "/behind" else api)(scope, receive, send)


async def declared(credential: Annotated[HTTPAuthorizationCredentials, Security(HTTPBearer())]) -> str:
    """Check nothing: what FastAPI needs for a dependency that reads a credential."""
    return credential.credentials


async def ask(authorization: Annotated[str, Header()]) -> None:
    """Ask the portal, as a service does that has no verifier."""
    question = {"credential": authorization.removeprefix("Bearer "), "scopes": [SCOPE]}
    answer = await portal.post("/api/v1/verify", json=question)
    if not answer.json()["valid"]:
        raise HTTPException(401)


@api.get("/open")
@api.get("/behind")
async def without() -> dict[str, str]:
    """Return something small."""
    return {"report": "first"}


@api.get("/declared")
async def unchecked(credential: Annotated[str, Depends(declared)]) -> dict[str, str]:
    """Return the same to anybody who has something like a credential."""
    return {"report": "first"}


@api.get("/checked")
async def checked(credential: Annotated[Credential, Depends(keyportal.requires(SCOPE))]) -> dict[str, str]:
    """Return the same to whom the credential admits."""
    return {"report": "first"}


@api.get("/asked", dependencies=[Depends(ask)])
async def asked() -> dict[str, str]:
    """Return the same to whom the portal admits."""
    return {"report": "first"}
