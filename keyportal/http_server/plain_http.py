"""Refuse credentials over plain http if the portal's URL is https, because others could read them (RFC 6749 §3.2).

A redirect would come too late. Requests of monitoring carry no credential and are allowed.
"""

import logging
import time
from http import HTTPStatus
from typing import Final

from django.conf import settings

from audit.client_address import Address, is_in
from gateway import forward_auth
from keyportal.errors.problems import Problem
from keyportal.http_server.fast_path import gateway_response
from keyportal.http_server.request import Request, Sender
from keyportal.http_server.response import Response
from keyportal.http_server.simple_responses import problem_response

logger = logging.getLogger(__name__)

CODE: Final = "https_required"
EXCEPTED: Final = ("/healthz", "/readyz", "/metrics")
OF_TOKENS: Final = ("/api/v1/tokens", "/api/v1/verify", "/oauth/")
"""Paths with credentials in the body."""
REPLACE: Final = "The credential crossed the network unencrypted. Replace it, then use https."
USE_HTTPS: Final = "Send the request again over https."
LOG_INTERVAL: Final = 60.0  # seconds between two lines of the log


class RefusalLog:
    """Logs at most once a minute which client is refused, and which setting would allow it. For the event loop only."""

    def __init__(self) -> None:
        self.due = 0.0

    def write(self, request: Request) -> None:
        """Write a line, unless the last one was less than a minute ago."""
        now = time.monotonic()
        if now < self.due:
            return
        self.due = now + LOG_INTERVAL
        if request.forwarded_scheme():
            logger.warning("refused: the proxy %s reports that its client uses plain http", request.peer or "unix")
        else:
            logger.warning(
                "refused: %s uses plain http; to allow that, add it to KEYPORTAL_PLAIN_HTTP_NETWORKS", request.peer
            )


refusal_log: Final = RefusalLog()


def is_private(peer: Address | None) -> bool:
    """Return whether the operator's settings say that others can't read the connection to this peer.

    That is true on this machine (loopback, a Unix socket) and for KEYPORTAL_PLAIN_HTTP_NETWORKS.
    """
    return peer is None or peer.is_loopback or is_in(peer, settings.KEYPORTAL_PLAIN_HTTP_NETWORKS)


def is_refused(request: Request) -> bool:
    """Return whether a request may carry a credential and others could have read it on its way."""
    if not request.arrived_in_clear():
        return False
    path = request.path
    if not settings.HTTPS or not path.startswith(settings.KEYPORTAL_MACHINE_PATHS) or path.startswith(EXCEPTED):
        return False
    refusal_log.write(request)
    return True


def refusal(request: Request, sender: Sender) -> Response:
    """Return the response to such a request. A gateway finds the code in a header."""
    if forward_auth.is_forward_auth(request.path):
        return gateway_response((HTTPStatus.FORBIDDEN, [("X-Keyportal-Code", CODE)]), sender)
    sent = request.path.startswith(OF_TOKENS) or request.header_values(b"authorization")
    return problem_response(Problem(CODE, {"detail": REPLACE if sent else USE_HTTPS}), request.path, sender)
