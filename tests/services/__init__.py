"""APIs behind a gateway: one behaviour (`service.py`), spoken in HTTP, uwsgi, FastCGI and gRPC."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any, Final

from typing_extensions import override

from tests.services import over_fastcgi, over_grpc, over_http, over_uwsgi
from tests.services.service import Service
from tests.waiting import OFTEN

HANDLERS: Final[dict[str, type[BaseRequestHandler]]] = {
    "http": over_http.Handler,
    "uwsgi": over_uwsgi.Handler,
    "fastcgi": over_fastcgi.Handler,
    "grpc": over_grpc.Handler,
}


class Server(ThreadingTCPServer):
    """A thread for each connection."""

    daemon_threads = True
    request_queue_size = 128

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a gateway that ends leaves its connections as they are
            super().handle_error(request, client_address)


@contextmanager
def serving(protocol: str = "http") -> Iterator[tuple[int, Service]]:
    """Serve until the block is left; yield the port, and what is behind it."""
    service = Service()
    handler = type("Handler", (HANDLERS[protocol],), {"service": service})
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(OFTEN,), daemon=True).start()
        try:
            yield server.server_address[1], service
        finally:
            server.shutdown()
