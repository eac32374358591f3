"""A service behind a gateway that asks keyportal: Flask, and not a line about keys.

    flask --app examples/reports_service run --port 9000

The gateway (deploy/nginx, deploy/caddy) has checked the credential, taken it away, and says who it is in headers that
no client can send past it. So this service must not be reachable but through the gateway.
"""

from flask import Flask, request
from flask.typing import ResponseReturnValue

app = Flask(__name__)


@app.get("/reports/<name>")
def report(name: str) -> ResponseReturnValue:
    """Give a report to whoever may read it; which of them it is, the gateway says."""
    owner = request.headers["X-Keyportal-Owner"]
    scopes = request.headers["X-Keyportal-Scopes"].split(" ")
    return {"report": name, "for": owner, "may_write": "reports:write" in scopes}


@app.delete("/reports/admin/<name>")
def remove(name: str) -> ResponseReturnValue:
    """Remove a report: the gateway lets only those with `reports:write` come here."""
    return {"removed": name, "by": request.headers["X-Keyportal-Key"]}
