"""nginx and Caddy with the very files of deploy/, and an API behind them that says what it got."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.portal import ROOT, Portal
from tests.waiting import DEADLINE, wait_until


class Echo(BaseHTTPRequestHandler):
    """The API behind: answers with the headers and the body that arrived."""

    reached = 0

    def answer(self) -> None:
        Echo.reached += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        told = json.dumps({"headers": [list(pair) for pair in self.headers.items()], "body": body}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = answer  # noqa: N815  # http.server's names

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def echoing_api() -> Iterator[int]:
    """Give the port of an API of this kind."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def started(command: list[str], port: int, folder: Path, **environment: str) -> Iterator[None]:
    """Run a gateway until the block is left; end it by its process id."""
    with (folder / "gateway.log").open("ab") as log:
        found = {"HOME": str(folder), "PATH": f"{os.environ['PATH']}:/usr/sbin", **environment}
        process = subprocess.Popen(command, env=found, stdout=log, stderr=log)
    probe = Portal(folder, "")
    probe.port = port

    def answers() -> bool:
        assert process.poll() is None, (folder / "gateway.log").read_text()
        try:
            return bool(probe.get("/").status)
        except OSError:
            return False

    try:
        wait_until(answers)
        yield
    finally:
        process.terminate()
        process.wait(timeout=DEADLINE)


@contextmanager
def nginx(folder: Path, port: int, portals: Sequence[int], api: int, *, beside: str = "") -> Iterator[None]:
    """Start nginx with deploy/nginx; only addresses and ports are this test's. `beside` is more configuration."""
    servers = "\n    ".join(f"server 127.0.0.1:{portal} max_fails=0;" for portal in portals)
    for file in (ROOT / "deploy/nginx").glob("*.conf"):
        text = file.read_text().replace("server 127.0.0.1:8000 max_fails=0;", servers)
        text = text.replace("127.0.0.1:9000", f"127.0.0.1:{api}").replace("listen 8080", f"listen 127.0.0.1:{port}")
        (folder / file.name).write_text(text)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log {folder}/access.log;\n{temporary}include site.conf;\n{beside}}}\n"
    )
    with started(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], port, folder):
        yield


@contextmanager
def caddy(folder: Path, port: int, portals: Sequence[int], api: int) -> Iterator[None]:
    """Start Caddy with deploy/caddy/Caddyfile."""
    shutil.copy(ROOT / "deploy/caddy/Caddyfile", folder)
    addresses = {
        "GATEWAY_ADDRESS": f"http://127.0.0.1:{port}",
        "KEYPORTAL_ADDRESS": f"127.0.0.1:{portals[0]}",
        "API_ADDRESS": f"127.0.0.1:{api}",
    }
    with started(["caddy", "run", "--config", str(folder / "Caddyfile")], port, folder, **addresses):
        yield
