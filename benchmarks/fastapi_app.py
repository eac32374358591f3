"""A FastAPI service that is measured: open, checked by keyportal-client, and with the portal asked each time."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

import httpx
from fastapi import Depends, FastAPI, Header, HTTPException

from keyportal_client import Credential
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


app = FastAPI(lifespan=_until_the_end)


async def ask(authorization: Annotated[str, Header()]) -> None:
    """Ask the portal, as a service does that has no verifier."""
    question = {"credential": authorization.removeprefix("Bearer "), "scopes": [SCOPE]}
    answer = await portal.post("/api/v1/verify", json=question)
    if not answer.json()["valid"]:
        raise HTTPException(401)


@app.get("/open")
async def without() -> dict[str, str]:
    """Return something small."""
    return {"report": "first"}


@app.get("/checked")
async def checked(credential: Annotated[Credential, Depends(keyportal.requires(SCOPE))]) -> dict[str, str]:
    """Return the same to whom the credential admits."""
    return {"report": "first"}


@app.get("/asked", dependencies=[Depends(ask)])
async def asked() -> dict[str, str]:
    """Return the same to whom the portal admits."""
    return {"report": "first"}
