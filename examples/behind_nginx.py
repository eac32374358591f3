"""A Flask service behind nginx, which checks keys and tokens by itself (clients/nginx) and signs whose they are.

    pip install './clients/python[flask,tokens]'
    KEYPORTAL_PORTAL=https://keys.example.com flask --app behind_nginx run --port 9000

It has no key of its own: by the portal's published keys it checks what nginx signed. clients/nginx/site.conf has its
location: `assertion = "reports"` there names the audience here.
"""

from flask import Flask, g

from keyportal_client.flask import Keyportal

app = Flask(__name__)
keyportal = Keyportal(trust="assertion", audience="reports")


@app.get("/reports")
@keyportal.requires("reports:read")
def reports() -> dict[str, object]:
    """Return what belongs to the owner of the credential."""
    return {"reports": ["first", "second"], "owner": g.credential.owner_id}
