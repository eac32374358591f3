"""A Flask service whose reports need a key or token of the portal with `reports:read`.

    pip install './clients/python[flask]'
    KEYPORTAL_PORTAL=https://keys.example.com KEYPORTAL_KEY=kp_live_… flask --app flask_service run

KEYPORTAL_KEY is the service's own key, with the scope `credentials:verify`.
"""

from flask import Flask, g

from keyportal_client.flask import Keyportal

app = Flask(__name__)
keyportal = Keyportal(service="reports")


@app.get("/reports")
@keyportal.requires("reports:read")
def reports() -> dict[str, object]:
    """Return what belongs to the owner of the credential."""
    return {"reports": ["first", "second"], "owner": g.credential.owner_id}
