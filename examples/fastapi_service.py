"""A FastAPI service whose reports need a key or token of the portal with `reports:read`.

    pip install './clients/python[fastapi]' uvicorn
    KEYPORTAL_PORTAL=https://keys.example.com KEYPORTAL_KEY=kp_live_… uvicorn fastapi_service:app

KEYPORTAL_KEY is the service's own key, with the scope `credentials:verify`.
"""

from typing import Annotated

from fastapi import Depends, FastAPI

from keyportal_client import Credential
from keyportal_client.fastapi import Keyportal

app = FastAPI()
keyportal = Keyportal(service="reports")


@app.get("/reports")
async def reports(credential: Annotated[Credential, Depends(keyportal.requires("reports:read"))]) -> dict[str, object]:
    """Return what belongs to the owner of the credential."""
    return {"reports": ["first", "second"], "owner": credential.owner_id}
