"""Plain http, where the portal's address is https: no credential is taken that others could read (RFC 6749 §3.2).

A redirect would come too late. What monitoring asks carries no credential.
"""

import logging
import time
from http import HTTPStatus
from typing import Final

from django.conf import settings

from credentials.client_address import Address, is_in
from gateway import forward_auth
from keyportal.entrance.answer import Answer
from keyportal.entrance.last_resort import of_problem
from keyportal.entrance.questions import of_gateway
from keyportal.entrance.request import Request, Sender
from keyportal.problems import Problem

logger = logging.getLogger(__name__)

CODE: Final = "https_required"
EXCEPTED: Final = ("/healthz", "/readyz", "/metrics")
OF_TOKENS: Final = ("/api/v1/tokens", "/api/v1/verify", "/oauth/")
"""Where the credential may be in the body."""
REPLACE: Final = "The credential that was sent crossed the network in clear: replace it, then use https."
ASK: Final = "Ask again over https."
EVERY: Final = 60.0  # seconds between two lines of the log


class Log:
    """Says now and then who is refused, and which setting lets them in. Of the event loop: no other thread writes."""

    def __init__(self) -> None:
        self.due = 0.0

    def tell(self, request: Request) -> None:
        """Write a line, if there was none for a while."""
        now = time.monotonic()
        if now < self.due:
            return
        self.due = now + EVERY
        if request.told_scheme():
            logger.warning("refused: the proxy %s says that its client asks over plain http", request.peer or "unix")
        else:
            logger.warning("refused: %s asks over plain http; KEYPORTAL_PLAIN_HTTP_NETWORKS may name it", request.peer)


log: Final = Log()


def is_private(peer: Address | None) -> bool:
    """Return whether nobody else reads what goes between this peer and the portal, by what the operator says.

    That is so on this machine (loopback, a Unix socket), and in KEYPORTAL_PLAIN_HTTP_NETWORKS.
    """
    return peer is None or peer.is_loopback or is_in(peer, settings.KEYPORTAL_PLAIN_HTTP_NETWORKS)


def is_refused(request: Request) -> bool:
    """Return whether a request may carry a credential and came so that others could read it."""
    if not request.came_in_clear():
        return False
    path = request.path
    if not settings.HTTPS or not path.startswith(settings.KEYPORTAL_MACHINE_PATHS) or path.startswith(EXCEPTED):
        return False
    log.tell(request)
    return True


def refusal(request: Request, sender: Sender) -> Answer:
    """Return the answer to a request that `is_refused`: a gateway reads the code in a header."""
    if forward_auth.is_asked(request.path):
        return of_gateway((HTTPStatus.FORBIDDEN, [("X-Keyportal-Code", CODE)]), sender)
    sent = request.path.startswith(OF_TOKENS) or request.lines(b"authorization")
    return of_problem(Problem(CODE, {"detail": REPLACE if sent else ASK}), request.path, sender)
