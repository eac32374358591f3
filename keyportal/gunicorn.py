"""gunicorn's configuration: `gunicorn --config python:keyportal.gunicorn`. Its command line takes precedence.

https://docs.gunicorn.org/en/stable/settings.html explains each name.
"""

import gc
import resource
import sys
from typing import Any

from gunicorn import systemd
from gunicorn.arbiter import Arbiter

from keyportal import settings
from keyportal.http_server import succession
from keyportal.http_server.worker import bound_to

gc.disable()  # until everything is imported: nothing of that is garbage, and looking takes a fifth of the start

wsgi_app = "keyportal.application:application"
worker_class = "keyportal.http_server.worker.Worker"
logger_class = "keyportal.http_server.worker.Logger"
preload_app = True
"""Settings are read and checked once, and the workers share the memory of what is the same for all."""
workers = settings.KEYPORTAL_WORKERS
bind = list(settings.KEYPORTAL_BIND)
certfile = settings.KEYPORTAL_TLS_CERTIFICATE or None
keyfile = settings.KEYPORTAL_TLS_KEY or None
backlog = 1024
timeout = 30
"""Seconds without a sign of life after which gunicorn kills and replaces a worker, because its event loop is stuck."""
graceful_timeout = 5
"""Seconds for requests in progress when the server ends."""
control_socket_disable = True


def on_starting(server: Arbiter) -> None:
    """Let each worker listen by itself, so that the kernel spreads connections evenly among those that are ready.

    Not at a Unix socket, which can have only one accept queue, nor at what systemd has opened.

    Also raise the limit of descriptors to what the system allows: it is often 1,024, and each connection needs one.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    has_opened = systemd.listen_fds(unset_environment=False)
    over_tcp = not has_opened and all(isinstance(address, tuple) for address in server.cfg.address)
    server.cfg.set("reuse_port", over_tcp)
    if over_tcp:
        _try_to_bind(server)


def when_ready(server: Arbiter) -> None:
    """Leave what was imported out of garbage collection for good: a worker that looked at it would copy its memory.

    Also keep gunicorn from listening for its workers, at their birth: they do so themselves as soon as they can answer.
    """
    gc.freeze()
    gc.enable()
    server.cfg.set("reuse_port", value=False)


def on_reload(server: Arbiter) -> None:
    """Have the workers of before go on until one of the new ones listens."""
    succession.begin()


def _try_to_bind(server: Any) -> None:
    """End where a port is forbidden or taken, also by another portal of this user: each would get half of the calls."""
    for address in server.cfg.address:
        try:
            bound_to(address, is_shared=False).close()
        except OSError as error:
            server.log.error("Can't listen at %s, port %s: %s", *address, error.strerror)  # noqa: TRY400  # says it all
            sys.exit(1)
