"""gunicorn's configuration: `gunicorn --config python:keyportal.gunicorn`. Its command line takes precedence.

https://docs.gunicorn.org/en/stable/settings.html explains each name.
"""

import gc
import resource

from gunicorn.arbiter import Arbiter

from keyportal import settings

gc.disable()  # until everything is imported: nothing of that is garbage, and looking takes a fifth of the start

wsgi_app = "keyportal.application:application"
worker_class = "keyportal.http_server.worker.Worker"
logger_class = "keyportal.http_server.worker.Logger"
preload_app = True
"""Settings are read and checked once, and the workers share the memory of what is the same for all."""
workers = settings.KEYPORTAL_WORKERS
bind = ["127.0.0.1:8000"]
certfile = settings.KEYPORTAL_TLS_CERTIFICATE or None
keyfile = settings.KEYPORTAL_TLS_KEY or None
backlog = 1024
timeout = 30
"""Seconds without a sign of life after which gunicorn kills and replaces a worker, because its event loop is stuck."""
graceful_timeout = 5
"""Seconds for requests in progress when the server ends."""
control_socket_disable = True


def on_starting(server: Arbiter) -> None:
    """Set up an accept queue for each worker, which the kernel fills evenly; a Unix socket can have only one.

    Also raise the limit of descriptors to what the system allows: it is often 1,024, and each connection needs one.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    over_unix = any(isinstance(address, str) for address in server.cfg.address)
    server.cfg.set("reuse_port", not over_unix)


def when_ready(server: Arbiter) -> None:
    """Leave what was imported out of garbage collection for good: a worker that looked at it would copy its memory.

    Also have each worker set up its accept queue itself, as soon as it is ready to answer, and not at its birth.
    """
    gc.freeze()
    gc.enable()
    server.cfg.set("reuse_port", value=False)
