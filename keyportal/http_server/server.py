"""Decide who answers a request: the event loop if the cache has the record, else a thread. One instance per process.

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
from keyportal.http_server import failures
from keyportal.http_server.connection import Connection
from keyportal.http_server.environ import environ_of, environ_of_refused
from keyportal.http_server.fast_path import Responder, respond_in_thread, responder_of
from keyportal.http_server.host import ClientConnection
from keyportal.http_server.load import Load, meter
from keyportal.http_server.paths import HEALTH, MONITORING_PATHS, SAFE_METHODS, STORING_PATHS, VERDICT_PATHS
from keyportal.http_server.plain_http import is_refused, refusal
from keyportal.http_server.readiness import Readiness
from keyportal.http_server.receiving import too_large
from keyportal.http_server.request import Request, Sender, UnreadableError
from keyportal.http_server.response import Response, Writer
from keyportal.http_server.simple_responses import health_response
from keyportal.http_server.threads import Threads
from keyportal.mailer import mailer
from keyportal.tracing.switch import start_tracing

logger = logging.getLogger(__name__)

Django = Callable[[dict[str, Any], Any], Iterable[bytes]]

MAX_BODY_OF_MACHINES: Final = 64 * 1024
MAX_BODY_OF_PAGES: Final = 2_621_440
"""Bytes allowed in one body: for machines and for pages."""
MAX_BUFFERED: Final = 64 * 1024 * 1024
"""Bytes of unfinished requests that this process may hold: bodies of pages, bodies of machines and heads, each."""
HEADS_BUFFER: Final = 2
MAX_DIGITS: Final = 10
"""Digits of a Content-Length. A longer number exceeds every bound."""
QUEUE: Final = 64
"""How many requests of each kind may wait for a thread."""
WITHOUT_DJANGO: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.SERVICE_UNAVAILABLE)
"""Errors that many clients get at once. Rendering a page in Django for each would take all threads."""
LENGTH: Final = "Content-Length"
MAX_CONNECTIONS: Final = 4096
"""Connections. Beyond this, the server drops those that have waited longest for their client."""
DESCRIPTORS: Final = 256
"""Other descriptors of a process: the database connection of each thread, files, handshakes."""


class HTTPServer:
    """What all connections of a process share (`keyportal.http_server.connection.Host`)."""

    def __init__(self, django: Django) -> None:
        self.now = time.monotonic()
        self.writer = Writer()
        self.is_ending = False
        self.max_connections = MAX_CONNECTIONS
        """`MAX_CONNECTIONS`, or fewer if the limit of descriptors is lower."""
        self.connections: set[ClientConnection] = set()
        self.buffered = [0, 0, 0]
        """Bytes of unfinished requests: bodies of pages, bodies of machines, and long heads."""
        self.call_soon: Callable[[Callable[[], None]], object]
        self.late = self.dropped = 0
        self.verdicts = Threads("verdicts", threads=settings.KEYPORTAL_VERDICT_THREADS, queue=QUEUE)
        self.verdict_timeout: float = settings.KEYPORTAL_VERDICT_TIMEOUT
        self.request_timeout: float = settings.KEYPORTAL_REQUEST_TIMEOUT
        self.readiness = Readiness(self.verdicts)
        self.others = Threads("requests", threads=settings.KEYPORTAL_REQUEST_THREADS, queue=QUEUE)
        self._machine_paths: tuple[str, ...] = settings.KEYPORTAL_MACHINE_PATHS
        self._django = django
        self._verdict = _unless_abandoned

    def start(self, loop: AbstractEventLoop) -> None:
        """Start serving in this event loop."""
        self.now = loop.time()
        self.call_soon = loop.call_soon
        self.max_connections = min(MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - DESCRIPTORS)
        self.verdicts.start(loop)
        self.others.start(loop)
        meter().read = self.load
        if (tracer := start_tracing()) is not None:
            self._django = tracer.traced_application(self._django)
            self._verdict = tracer.traced_verdict(self._verdict)
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
        if len(self.connections) >= self.max_connections:
            waiting = [one for one in self.connections if one.waits_for_client]
            # Several at once, so that a flood of connections does not sort them for each new one.
            for one in nsmallest(self.max_connections // 64 + 1, waiting, key=lambda one: one.until):
                self.connections.discard(one)
                self.dropped += 1
                one.abort()
        self.connections.add(connection)

    def remove(self, connection: ClientConnection) -> None:
        """Remove a closed connection."""
        self.connections.discard(connection)

    def count_bytes(self, request: Request, count: int) -> None:
        """Count `count` more (or fewer) buffered bytes. Raises `UnreadableError` if that is too much.

        Machines have a budget of their own, so a client that uses up that of pages does not lock out services.
        """
        kind = request.path.startswith(self._machine_paths) if request.method else HEADS_BUFFER
        self.buffered[kind] += count
        if count > 0 and self.buffered[kind] > MAX_BUFFERED:
            raise UnreadableError(HTTPStatus.SERVICE_UNAVAILABLE, "Too much data is being sent at once.")

    def max_body(self, request: Request) -> int:
        """Return how many bytes of body a request may have; 0 if it is answered without. Raises `UnreadableError`."""
        if forward_auth.is_forward_auth(request.path) or is_refused(request):
            return 0
        bound = MAX_BODY_OF_MACHINES if request.path.startswith(self._machine_paths) else MAX_BODY_OF_PAGES
        length = request.named.get(b"content-length", b"").strip().lstrip(b"0")
        if len(length) > MAX_DIGITS or int(length or b"0") > bound:
            raise too_large(bound)
        return bound

    def receive(self, request: Request, connection: ClientConnection) -> float:
        """Start answering a request. Return the seconds within which the answer is due."""
        sender = request.sender()
        if is_refused(request):
            connection.respond(request, refusal(request, sender))
            return self.request_timeout
        respond = responder_of(request, sender, connection.caller_cache)
        if respond is not None:
            self._verify(respond, sender, request, connection)
            return self.verdict_timeout
        if request.path == HEALTH and request.method in SAFE_METHODS:
            connection.respond(request, health_response(sender))
            return self.request_timeout
        try:
            environ = environ_of(request, sender)
        except UnreadableError as error:
            return self.refuse(request, connection, error)
        return self._pass_to_django(request, connection, environ)

    def refuse(self, request: Request, connection: ClientConnection, why: UnreadableError) -> float:
        """Start refusing a request that can't be received. Return the seconds within which the answer is due."""
        request.keep_alive = False  # the bytes that follow may belong to it
        if why.status in WITHOUT_DJANGO or request.path.startswith(self._machine_paths):
            connection.respond(request, self.immediate_refusal(request, why))
            return self.request_timeout
        return self._pass_to_django(request, connection, environ_of_refused(request, request.sender(), why))

    def immediate_refusal(self, request: Request, why: UnreadableError) -> Response:
        """Return the refusal of a request without using a thread. Even its head may be incomplete."""
        return failures.unreadable_response(request, why)

    def timeout_response(self, request: Request) -> Response:
        """Return the response to a request whose deadline has passed."""
        self.late += 1
        return failures.late_response(request)

    def busy_response(self, request: Request) -> Response:
        """Return the response to a request for which the queue has no place."""
        return failures.busy_response(request)

    def load(self) -> Load:
        """Return the current load. Any thread may call this."""
        return Load(
            verdicts_in_progress=self.verdicts.in_progress,
            others_in_progress=self.others.in_progress,
            verdicts_refused=self.verdicts.refused,
            others_refused=self.others.refused,
            late=self.late,
            connections=len(self.connections),
            dropped=self.dropped,
            body_bytes=sum(self.buffered),
        )

    def error_response(self, request: Request) -> Response:
        """Return the response to a request that failed."""
        return failures.failed_response(request)

    def _verify(self, respond: Responder, sender: Sender, request: Request, connection: ClientConnection) -> None:
        try:
            connection.respond(request, respond(get_cached))
        except WouldBlockError:
            task = partial(self._verdict, request, sender)
            threads = self.others if request.path in STORING_PATHS else self.verdicts
            if not threads.submit(task, respond, partial(connection.respond, request)):
                connection.respond(request, self.busy_response(request))
        except Exception:  # the client must get an answer, and it must not be a good one
            with failures.request_id_of(request):
                logger.exception("a verdict failed")
            connection.respond(request, self.error_response(request))

    def _pass_to_django(self, request: Request, connection: ClientConnection, environ: dict[str, Any]) -> float:
        is_verdict = request.path.startswith(VERDICT_PATHS)
        threads = self.verdicts if is_verdict or request.path.startswith(MONITORING_PATHS) else self.others
        if not threads.submit(partial(self._call_django, request), environ, partial(connection.respond, request)):
            connection.respond(request, self.busy_response(request))
        return self.verdict_timeout if is_verdict else self.request_timeout

    def _call_django(self, request: Request, environ: dict[str, Any]) -> Response | None:
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
            if (close := getattr(result, "close", None)) is not None:
                close()
        status, headers = started[-1]
        lengths = [int(value) for name, value in headers if name == LENGTH]
        others = [(name, value) for name, value in headers if name != LENGTH]
        return Response(int(status[:3]), others, body, lengths[0] if lengths and not body else None)


def _unless_abandoned(request: Request, sender: Sender, respond: Responder) -> Response | None:
    return None if request.is_abandoned else respond_in_thread(respond, sender)
