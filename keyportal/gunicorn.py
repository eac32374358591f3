"""How gunicorn runs the portal: `gunicorn --config python:keyportal.gunicorn`. What its command line says wins.

https://docs.gunicorn.org/en/stable/settings.html says what each name means.
"""

import resource

from gunicorn.arbiter import Arbiter

from keyportal import settings

wsgi_app = "keyportal.server:application"
worker_class = "keyportal.entrance.worker.Worker"
logger_class = "keyportal.entrance.worker.Logger"
preload_app = True
"""Settings are read and checked once, and the workers share what is the same for all."""
workers = settings.KEYPORTAL_WORKERS
bind = ["127.0.0.1:8000"]
certfile = settings.KEYPORTAL_TLS_CERTIFICATE or None
keyfile = settings.KEYPORTAL_TLS_KEY or None
backlog = 1024
timeout = 30
"""Seconds after which a worker whose event loop stands still is killed and another one started."""
graceful_timeout = 5
"""Seconds for what is being answered when the server ends."""
control_socket_disable = True


def on_starting(server: Arbiter) -> None:
    """Give each worker a queue of its own, which the kernel fills evenly; over a Unix socket there can be only one.

    And as many descriptors as the system lets it have: most begin with 1,024, and each connection is one.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    over_unix = any(isinstance(address, str) for address in server.cfg.address)
    server.cfg.set("reuse_port", not over_unix)
