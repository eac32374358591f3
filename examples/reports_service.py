"""A Flask service behind a gateway that checks credentials with keyportal. It contains no code about keys.

    flask --app examples/reports_service run --port 9000

The gateway (deploy/nginx, deploy/caddy) checks the credential, removes it, and says whose it is in headers that
clients can't set themselves. So this service must be reachable only through the gateway.
"""

from flask import Flask, request
from flask.typing import ResponseReturnValue

app = Flask(__name__)


@app.get("/reports/<name>")
def report(name: str) -> ResponseReturnValue:
    """Return a report, according to who may read it; the gateway says who calls."""
    owner = request.headers["X-Keyportal-Owner"]
    scopes = request.headers["X-Keyportal-Scopes"].split(" ")
    return {"report": name, "for": owner, "may_write": "reports:write" in scopes}


@app.delete("/reports/admin/<name>")
def remove(name: str) -> ResponseReturnValue:
    """Remove a report. The gateway admits only requests with `reports:write` here."""
    return {"removed": name, "by": request.headers["X-Keyportal-Key"]}
