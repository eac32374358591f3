"""Decide who answers a request: the event loop if memory knows the verdict, else a thread. One instance per process.

Three kinds of work do not wait for one another: reading, which takes no thread; verdicts; and everything else.
"""

import logging
import resource
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable
from functools import partial
from heapq import nsmallest
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings

from credentials.background import background
from credentials.runtime.errors import WouldBlockError
from credentials.verified_cache.freshness import get_cached
from gateway import forward_auth
from keyportal.http_server.answer import Answer, Writer
from keyportal.http_server.connection import Connection
from keyportal.http_server.environ import environ_of, environ_of_refused
from keyportal.http_server.fast_path import Responder, gateway_response, respond_in_thread, responder_of
from keyportal.http_server.host import ClientConnection
from keyportal.http_server.last_resort import healthy, last_resort
from keyportal.http_server.load import Load, meter
from keyportal.http_server.plain_http import is_refused, refusal
from keyportal.http_server.receiving import too_large
from keyportal.http_server.request import Request, Sender, UnreadableError
from keyportal.http_server.threads import Threads
from keyportal.mailer import mailer

logger = logging.getLogger(__name__)

Django = Callable[[dict[str, Any], Any], Iterable[bytes]]

OF_MACHINES: Final = 64 * 1024
OF_PAGES: Final = 2_621_440
"""Bytes allowed in one body: for machines and for pages."""
OF_ALL: Final = 64 * 1024 * 1024
"""Bytes of unfinished requests that this process may hold: bodies of pages, bodies of machines and heads, each."""
OF_HEADS: Final = 2
LONGEST_NUMBER: Final = 10
"""Digits of a Content-Length. A longer number exceeds every bound."""
HEALTH: Final = "/healthz"
SAFE: Final = ("GET", "HEAD")
OF_VERDICTS: Final = ("/gateway/", "/api/v1/verify", "/api/v1/me", "/oauth/introspect")
"""Paths on which production traffic of other services depends."""
OF_MONITORING: Final = ("/healthz", "/readyz", "/metrics")
"""Paths that monitoring requests. They must not wait for pages either, least of all when something is wrong."""
QUEUE: Final = 64
"""How many requests of each kind may wait for a thread."""
AT_ONCE: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.SERVICE_UNAVAILABLE)
"""Errors that many clients get at once. Rendering a page in Django for each would take all threads."""
LENGTH: Final = "Content-Length"
MOST: Final = 4096
"""Connections. Beyond this, the server drops those that have waited longest for their client."""
DESCRIPTORS: Final = 256
"""Other descriptors of a process: the database connection of each thread, files, handshakes."""


class HTTPServer:
    """What all connections of a process share (`keyportal.http_server.connection.Host`)."""

    def __init__(self, django: Django) -> None:
        self.now = time.monotonic()
        self.writer = Writer()
        self.is_ending = False
        self.most = MOST
        """The most connections: `MOST`, or fewer if the limit of descriptors is lower."""
        self.connections: set[ClientConnection] = set()
        self.kept = [0, 0, 0]
        """Bytes of unfinished requests: bodies of pages, bodies of machines, and long heads."""
        self.soon: Callable[[Callable[[], None]], object]
        self.given_up = 0
        self.verdicts = Threads("verdicts", threads=settings.KEYPORTAL_VERDICT_THREADS, queue=QUEUE)
        self.verdict_within: float = settings.KEYPORTAL_VERDICT_TIMEOUT
        self.within: float = settings.KEYPORTAL_REQUEST_TIMEOUT
        self.others = Threads("requests", threads=settings.KEYPORTAL_REQUEST_THREADS, queue=QUEUE)
        self._of_machines: tuple[str, ...] = settings.KEYPORTAL_MACHINE_PATHS
        self._django = django

    def start(self, loop: AbstractEventLoop) -> None:
        """Start serving in this event loop."""
        self.now = loop.time()
        self.soon = loop.call_soon
        self.most = min(MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - DESCRIPTORS)
        self.verdicts.start(loop)
        self.others.start(loop)
        meter().read = self.load
        background().start()  # needed even if nothing is counted, because it also extends the audit chain
        mailer().start()

    def __call__(self) -> Connection:
        """Return the protocol for a new client."""
        return Connection(self)

    def tick(self, now: float) -> None:
        """Update the clock, and act on connections whose deadline has passed."""
        self.now = now
        self.writer.tick()
        for connection in [one for one in self.connections if one.until <= now]:
            connection.expire()

    def end(self) -> None:
        """Accept nothing new, and close idle connections."""
        self.is_ending = True
        for connection in list(self.connections):
            connection.end()

    def add(self, connection: ClientConnection) -> None:
        """Add a connection. If there are too many, drop some that have waited longest for their client."""
        if len(self.connections) >= self.most:
            waiting = [one for one in self.connections if one.waits_for_client]
            # Several at once, so that a flood of connections does not sort them for each new one.
            for one in nsmallest(self.most // 64 + 1, waiting, key=lambda one: one.until):
                self.connections.discard(one)
                one.give_way()
        self.connections.add(connection)

    def remove(self, connection: ClientConnection) -> None:
        """Remove a closed connection."""
        self.connections.discard(connection)

    def keep(self, request: Request, count: int) -> None:
        """Count `count` more (or fewer) buffered bytes. Raises `UnreadableError` if that is too much.

        Machines have a budget of their own, so a client that uses up that of pages does not lock out services.
        """
        kind = request.path.startswith(self._of_machines) if request.method else OF_HEADS
        self.kept[kind] += count
        if count > 0 and self.kept[kind] > OF_ALL:
            raise UnreadableError(HTTPStatus.SERVICE_UNAVAILABLE, "Too much data is being sent at once.")

    def bound_of(self, request: Request) -> int:
        """Return how many bytes of body a request may have; 0 if it is answered without. Raises `UnreadableError`."""
        if forward_auth.is_forward_auth(request.path) or is_refused(request):
            return 0
        bound = OF_MACHINES if request.path.startswith(self._of_machines) else OF_PAGES
        length = request.named.get(b"content-length", b"").strip().lstrip(b"0")
        if len(length) > LONGEST_NUMBER or int(length or b"0") > bound:
            raise too_large(bound)
        return bound

    def receive(self, request: Request, connection: ClientConnection) -> float:
        """Start answering a request. Return the seconds within which the answer is due."""
        sender = request.sender()
        if is_refused(request):
            connection.answer(request, refusal(request, sender))
            return self.within
        respond = responder_of(request, sender, connection.caller_cache)
        if respond is not None:
            self._check_credential(respond, sender, request, connection)
            return self.verdict_within
        if request.path == HEALTH and request.method in SAFE:
            connection.answer(request, healthy(sender))
            return self.within
        try:
            environ = environ_of(request, sender)
        except UnreadableError as error:
            return self.refuse(request, connection, error)
        return self._pass_to_django(request, connection, environ)

    def refuse(self, request: Request, connection: ClientConnection, why: UnreadableError) -> float:
        """Start refusing a request that can't be received. Return the seconds within which the answer is due."""
        request.keep_alive = False  # the bytes that follow may belong to it
        if why.status in AT_ONCE or request.path.startswith(settings.KEYPORTAL_MACHINE_PATHS):
            connection.answer(request, self.refused_at_once(request, why))
            return self.within
        return self._pass_to_django(request, connection, environ_of_refused(request, request.sender(), why))

    def refused_at_once(self, request: Request, why: UnreadableError) -> Answer:
        """Return the refusal of a request without using a thread. Even its head may be incomplete."""
        logger.info("refused before Django with %d: %s", why.status, why.detail)
        return last_resort(request.path, why.status, request.sender(), why.detail)

    def late(self, request: Request) -> Answer:
        """Return the response to a request whose deadline has passed."""
        self.given_up += 1
        return self.busy(request)

    def busy(self, request: Request) -> Answer:
        """Return the response to a request for which the queue has no place."""
        return self._instead(request, HTTPStatus.SERVICE_UNAVAILABLE)

    def load(self) -> Load:
        """Return the current load. Any thread may call this."""
        return Load(
            verdicts_inside=self.verdicts.inside,
            others_inside=self.others.inside,
            verdicts_refused=self.verdicts.refused,
            others_refused=self.others.refused,
            late=self.given_up,
            connections=len(self.connections),
            body_bytes=sum(self.kept),
        )

    def broken(self, request: Request) -> Answer:
        """Return the response to a request that failed."""
        return self._instead(request, HTTPStatus.INTERNAL_SERVER_ERROR)

    def _instead(self, request: Request, status: HTTPStatus) -> Answer:
        sender = request.sender()
        if forward_auth.is_forward_auth(request.path):
            return gateway_response(forward_auth.UNAVAILABLE, sender)
        return last_resort(request.path, status, sender)

    def _check_credential(self, respond: Responder, sender: Sender, request: Request, connection: ClientConnection) -> None:
        try:
            connection.answer(request, respond(get_cached))
        except WouldBlockError:
            task = partial(_unless_abandoned, request, sender)
            if not self.verdicts.take(task, respond, partial(connection.answer, request)):
                connection.answer(request, self.busy(request))
        except Exception:  # the client must get an answer, and it must not be a good one
            logger.exception("a verdict failed")
            connection.answer(request, self.broken(request))

    def _pass_to_django(self, request: Request, connection: ClientConnection, environ: dict[str, Any]) -> float:
        is_verdict = request.path.startswith(OF_VERDICTS)
        threads = self.verdicts if is_verdict or request.path.startswith(OF_MONITORING) else self.others
        if not threads.take(partial(self._call_django, request), environ, partial(connection.answer, request)):
            connection.answer(request, self.busy(request))
        return self.verdict_within if is_verdict else self.within

    def _call_django(self, request: Request, environ: dict[str, Any]) -> Answer | None:
        """Call Django, in a thread. Return its response, or None if the client no longer waits."""
        if request.is_abandoned:
            return None
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
            started.append((status, headers))

        result = self._django(environ, start_response)
        try:
            body = b"".join(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        status, headers = started[-1]
        lengths = [int(value) for name, value in headers if name == LENGTH]
        others = [(name, value) for name, value in headers if name != LENGTH]
        return Answer(int(status[:3]), others, body, lengths[0] if lengths and not body else None)


def _unless_abandoned(request: Request, sender: Sender, respond: Responder) -> Answer | None:
    return None if request.is_abandoned else respond_in_thread(respond, sender)
