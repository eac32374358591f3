"""Who answers a request: the event loop where memory knows the verdict, else a thread. One for each process.

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

from credentials.recall import WouldBlockError, remembered
from credentials.usage import flusher
from gateway import forward_auth
from keyportal.entrance.answer import Answer, Writer
from keyportal.entrance.connection import Connection
from keyportal.entrance.environ import environ_of, environ_of_refused
from keyportal.entrance.last_resort import healthy, last_resort
from keyportal.entrance.load import Load, meter
from keyportal.entrance.plain_http import is_refused, refusal
from keyportal.entrance.questions import Question, asked_in_thread, of_gateway, question_of
from keyportal.entrance.receiving import too_large
from keyportal.entrance.request import Request, Sender, UnreadableError
from keyportal.entrance.threads import Threads
from keyportal.mailer import mailer

logger = logging.getLogger(__name__)

Django = Callable[[dict[str, Any], Any], Iterable[bytes]]

OF_MACHINES: Final = 64 * 1024
OF_PAGES: Final = 2_621_440
"""Bytes that one body may have."""
OF_ALL: Final = 64 * 1024 * 1024
"""Bytes that this process keeps of bodies that are on their way, of pages and of machines each, and of heads."""
OF_HEADS: Final = 2
LONGEST_NUMBER: Final = 10
"""Digits of a length, with which every bound is passed."""
HEALTH: Final = "/healthz"
SAFE: Final = ("GET", "HEAD")
OF_VERDICTS: Final = ("/gateway/", "/api/v1/verify", "/api/v1/me", "/oauth/introspect")
"""Paths of what somebody's production waits for."""
OF_MONITORING: Final = ("/healthz", "/readyz", "/metrics")
"""Paths of what is looked at when something is wrong: it waits for no page either."""
QUEUE: Final = 64
"""How many requests of a kind may wait for a thread."""
AT_ONCE: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.SERVICE_UNAVAILABLE)
"""What many clients are told at the same time: a page of Django's for each would take the threads of the others."""
LENGTH: Final = "Content-Length"
MOST: Final = 4096
"""Connections. Beyond, those go that have waited longest for their client."""
DESCRIPTORS: Final = 256
"""What else a process has open: the database of each thread, files, handshakes."""


class Entrance:
    """What all connections of a process have in common (`keyportal.entrance.connection.Host`)."""

    def __init__(self, django: Django) -> None:
        self.now = time.monotonic()
        self.writer = Writer()
        self.is_ending = False
        self.most = MOST
        """Connections."""
        self.connections: set[Connection] = set()
        self.kept = [0, 0, 0]
        """Bytes that are on their way: of bodies of pages, of bodies of machines, and of long heads."""
        self.soon: Callable[[Callable[[], None]], object]
        self.given_up = 0
        self.verdicts = Threads("verdicts", threads=settings.KEYPORTAL_VERDICT_THREADS, queue=QUEUE)
        self.verdict_within: float = settings.KEYPORTAL_VERDICT_TIMEOUT
        self.within: float = settings.KEYPORTAL_REQUEST_TIMEOUT
        self.others = Threads("requests", threads=settings.KEYPORTAL_REQUEST_THREADS, queue=QUEUE)
        self._of_machines: tuple[str, ...] = settings.KEYPORTAL_MACHINE_PATHS
        self._django = django

    def start(self, loop: AbstractEventLoop) -> None:
        """Serve in this loop."""
        self.now = loop.time()
        self.soon = loop.call_soon
        self.most = min(MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - DESCRIPTORS)
        self.verdicts.start(loop)
        self.others.start(loop)
        meter.read = self.load
        flusher.start()  # also where nothing is counted: the chain of the trail goes on
        mailer.start()

    def __call__(self) -> Connection:
        """Return what speaks with a new client."""
        return Connection(self)

    def tick(self, now: float) -> None:
        """Look at the clock, and at who is over their deadline."""
        self.now = now
        self.writer.tick()
        for connection in [one for one in self.connections if one.until <= now]:
            connection.expire()

    def end(self) -> None:
        """Take nothing new; close what waits."""
        self.is_ending = True
        for connection in list(self.connections):
            connection.end()

    def add(self, connection: Connection) -> None:
        """Note a new connection; if there are too many, some go that have waited longest for their client."""
        if len(self.connections) >= self.most:
            waiting = [one for one in self.connections if one.waits_for_client]
            for one in nsmallest(self.most // 64 + 1, waiting, key=lambda one: one.until):
                self.connections.discard(one)
                one.give_way()
        self.connections.add(connection)

    def remove(self, connection: Connection) -> None:
        """Note that a connection is gone."""
        self.connections.discard(connection)

    def keep(self, request: Request, count: int) -> None:
        """Note that so many more (or fewer) bytes of requests are kept. Raises `UnreadableError` if it is too much.

        Machines have room of their own: whoever fills that of pages shuts no service out.
        """
        kind = request.path.startswith(self._of_machines) if request.method else OF_HEADS
        self.kept[kind] += count
        if count > 0 and self.kept[kind] > OF_ALL:
            raise UnreadableError(HTTPStatus.SERVICE_UNAVAILABLE, "Too much is being sent at once.")

    def bound_of(self, request: Request) -> int:
        """Return how many bytes of body a request may have; 0 if it is answered without. Raises `UnreadableError`."""
        if forward_auth.is_asked(request.path) or is_refused(request):
            return 0
        bound = OF_MACHINES if request.path.startswith(self._of_machines) else OF_PAGES
        length = request.named.get(b"content-length", b"").strip().lstrip(b"0")
        if len(length) > LONGEST_NUMBER or int(length or b"0") > bound:
            raise too_large(bound)
        return bound

    def receive(self, request: Request, connection: Connection) -> float:
        """See to it that a request is answered. Returns within how many seconds."""
        sender = request.sender()
        if is_refused(request):
            connection.answer(request, refusal(request, sender))
            return self.within
        question = question_of(request, sender, connection.acquaintance)
        if question is not None:
            self._ask(question, sender, request, connection)
            return self.verdict_within
        if request.path == HEALTH and request.method in SAFE:
            connection.answer(request, healthy(sender))
            return self.within
        try:
            environ = environ_of(request, sender)
        except UnreadableError as error:
            return self.refuse(request, connection, error)
        return self._ask_django(request, connection, environ)

    def refuse(self, request: Request, connection: Connection, why: UnreadableError) -> float:
        """See to it that a request is answered that can't be received. Returns within how many seconds."""
        request.keep_alive = False  # what comes behind it may be a part of it
        if why.status in AT_ONCE or request.path.startswith(settings.KEYPORTAL_MACHINE_PATHS):
            connection.answer(request, self.refused_at_once(request, why))
            return self.within
        return self._ask_django(request, connection, environ_of_refused(request, request.sender(), why))

    def refused_at_once(self, request: Request, why: UnreadableError) -> Answer:
        """Return the answer to a request that nobody is to wait for, of which not even the head may be there."""
        logger.info("%d at the entrance: %s", why.status, why.detail)
        return last_resort(request.path, why.status, request.sender(), why.detail)

    def late(self, request: Request) -> Answer:
        """Return the answer to a request that has waited for too long."""
        self.given_up += 1
        return self.busy(request)

    def busy(self, request: Request) -> Answer:
        """Return the answer to a request for which there is no place."""
        return self._instead(request, HTTPStatus.SERVICE_UNAVAILABLE)

    def load(self) -> Load:
        """Return what waits; any thread may ask."""
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
        """Return the answer to a request that could not be answered."""
        return self._instead(request, HTTPStatus.INTERNAL_SERVER_ERROR)

    def _instead(self, request: Request, status: HTTPStatus) -> Answer:
        sender = request.sender()
        if forward_auth.is_asked(request.path):
            return of_gateway(forward_auth.UNAVAILABLE, sender)
        return last_resort(request.path, status, sender)

    def _ask(self, question: Question, sender: Sender, request: Request, connection: Connection) -> None:
        try:
            connection.answer(request, question(remembered))
        except WouldBlockError:
            task = partial(_unless_abandoned, request, sender)
            if not self.verdicts.take(task, question, partial(connection.answer, request)):
                connection.answer(request, self.busy(request))
        except Exception:  # whoever asks must get an answer, and it must not be a good one
            logger.exception("a question broke")
            connection.answer(request, self.broken(request))

    def _ask_django(self, request: Request, connection: Connection, environ: dict[str, Any]) -> float:
        is_verdict = request.path.startswith(OF_VERDICTS)
        threads = self.verdicts if is_verdict or request.path.startswith(OF_MONITORING) else self.others
        if not threads.take(partial(self._asked, request), environ, partial(connection.answer, request)):
            connection.answer(request, self.busy(request))
        return self.verdict_within if is_verdict else self.within

    def _asked(self, request: Request, environ: dict[str, Any]) -> Answer | None:
        """Ask Django, in a thread."""
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


def _unless_abandoned(request: Request, sender: Sender, question: Question) -> Answer | None:
    return None if request.is_abandoned else asked_in_thread(question, sender)
