"""The least that the portal's server can do for a credential: one digest, no verdict. Forward-auth is compared with it.

`gunicorn --config python:keyportal.gunicorn benchmarks.bare:application`, in a portal's environment.
"""

import hmac

from keyportal.server import django_application  # isort: skip  # sets Django up, for what comes next
from keyportal.entrance.answer import Answer
from keyportal.entrance.application import Entrance
from keyportal.entrance.connection import Connection
from keyportal.entrance.request import Request


class Bare(Entrance):
    """Every connection, parser and answer as the portal has them."""

    def receive(self, request: Request, connection: Connection) -> float:
        """Compute the digest of the header, and answer 200."""
        hmac.digest(b"k" * 32, (request.joined(b"authorization") or "").encode(), "sha256")
        connection.answer(request, Answer(200, ()))
        return 1.0


application = Bare(django_application)
