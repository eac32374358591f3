"""A gunicorn worker with its own event loop. gunicorn starts workers, monitors them and ends them."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any, Final

import uvloop
from gunicorn import sock
from gunicorn.glogging import Logger as GunicornLogger
from gunicorn.workers.base import Worker as GunicornWorker
from typing_extensions import override

from keyportal.http_server import succession
from keyportal.http_server.bounds import HEAD_WITHIN, LINGER, READY_WITHIN, SUCCEEDED_WITHIN
from keyportal.http_server.service_manager import service_manager

SWITCH: Final = 0.001
"""Seconds after which a computing thread must yield to others, such as the event loop, which answers verdicts."""
TICK: Final = 0.1  # seconds between two checks of deadlines
LISTENING: Final = "Listening at: %s (%s)"
"""gunicorn's line, with the addresses and the process id."""


class Logger(GunicornLogger):
    """Passes gunicorn's lines to the portal's own log, as text or JSON, as the settings say."""

    @override
    def setup(self, cfg: Any) -> None:
        """Set the level, and add no handler of gunicorn's own."""
        self.cfg = cfg
        self.error_log.setLevel(cfg.loglevel.upper())
        self.error_log.propagate = True

    @override
    def info(self, msg: object, *args: object, **options: Any) -> None:
        """Log a line. Where each worker has an accept queue, gunicorn listens nowhere itself and would name nothing."""
        if msg == LISTENING and not args[0]:
            args = (",".join(_addresses(self.cfg)), *args[1:])
        super().info(msg, *args, **options)


class Worker(GunicornWorker):
    """Serves `keyportal.application.application`."""

    wsgi: Any
    """The application, `keyportal.http_server.server.HTTPServer`. gunicorn loads this class before Django is set up."""
    alive: bool

    @override
    def init_process(self) -> None:
        """Create the event loop, and bind, which may need root; then continue as every gunicorn worker."""
        self.loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.generation = succession.generation()
        if not self.sockets:
            self.sockets = [bound_to(address) for address in self.cfg.address]
        super().init_process()

    @override
    def init_signals(self) -> None:
        """Handle signals in the event loop."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            self.loop.add_signal_handler(number, self._end)
        self.loop.add_signal_handler(signal.SIGUSR1, self.log.reopen_files)
        self.loop.add_signal_handler(signal.SIGWINCH, lambda: None)
        self.loop.add_signal_handler(signal.SIGABRT, self.handle_abort, signal.SIGABRT, None)

    @override
    def run(self) -> None:
        sys.setswitchinterval(SWITCH)
        self.wsgi.start(self.loop)
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    def _end(self) -> None:
        self.alive, self.ended_at = False, self.loop.time()

    def _is_needed(self) -> bool:
        """Return whether nobody has come in this worker's place yet, though somebody will soon."""
        return not succession.may_end(self.generation) and self.loop.time() < self.ended_at + SUCCEEDED_WITHIN

    async def _serve(self) -> None:
        application = self.wsgi
        await self._wait_until_ready()
        if not self.alive:
            return
        tls = sock.ssl_context(self.cfg) if self.cfg.is_ssl else None
        servers = [await self._server(listener, tls) for listener in self.sockets]
        succession.announce(self.generation)
        service_manager.notify_ready()
        self.log.info("Started worker %s", os.getpid())
        while self.ppid == os.getppid() and (self.alive or self._is_needed()):
            self.notify()
            application.tick(self.loop.time())
            await asyncio.sleep(TICK)
        await asyncio.sleep(0)  # the loop accepts who has connected until now
        for server in servers:
            server.close()
        application.end()
        until = self.loop.time() + self.cfg.graceful_timeout
        while application.connections and self.loop.time() < until:
            self.notify()
            application.tick(self.loop.time())
            await asyncio.sleep(0.01)

    async def _wait_until_ready(self) -> None:
        until = self.loop.time() + READY_WITHIN
        while self.alive and not self.wsgi.readiness.has_come() and self.loop.time() < until:
            self.notify()
            await asyncio.sleep(0.005)

    async def _server(self, listener: Any, tls: Any) -> asyncio.AbstractServer:
        make = self.loop.create_unix_server if isinstance(listener, sock.UnixSocket) else self.loop.create_server
        own = listener if isinstance(listener, socket.socket) else listener.sock
        within: dict[str, Any] = {"ssl_handshake_timeout": HEAD_WITHIN, "ssl_shutdown_timeout": LINGER} if tls else {}
        server: asyncio.AbstractServer = await make(self.wsgi, sock=own, ssl=tls, backlog=self.cfg.backlog, **within)
        return server


def bound_to(address: Any, *, is_shared: bool = True) -> socket.socket:
    """Return a socket at a host and port, where nobody gets before it listens. Raises `OSError`.

    Unless it is shared, with others of the same user, nobody else may listen there.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, is_shared)
    try:
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _addresses(cfg: Any) -> Iterator[str]:
    """Yield the addresses at which the workers listen, written as gunicorn writes those of its own sockets."""
    scheme = "https" if cfg.is_ssl else "http"
    for address in cfg.address:
        if isinstance(address, int):
            yield f"fd://{address}"
        else:
            host, port = address
            yield f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
