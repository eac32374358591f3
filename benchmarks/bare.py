"""The least that the portal's server can do for a credential (one digest, no verdict), to compare forward-auth with.

`gunicorn --config python:keyportal.gunicorn benchmarks.bare:application`, in a portal's environment.
"""

import hmac

from keyportal.application import django_application  # isort: skip  # sets Django up, for what comes next
from keyportal.http_server.host import ClientConnection
from keyportal.http_server.request import Request
from keyportal.http_server.response import Response
from keyportal.http_server.server import HTTPServer


class Bare(HTTPServer):
    """The portal's connections, parser and responses, without verdicts."""

    def receive(self, request: Request, connection: ClientConnection) -> float:
        """Compute the digest of the header and answer 200. Return the seconds within which an answer is due."""
        hmac.digest(b"k" * 32, (request.header_value(b"authorization") or "").encode(), "sha256")
        connection.respond(request, Response(200, ()))
        return 1.0


application = Bare(django_application)
