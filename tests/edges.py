"""nginx with the module of clients/nginx: only addresses, ports and the key's file are the tests'."""

import json
import os
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from tests.gateways import BROWSER_APP, started
from tests.portal import ROOT
from tests.services.service import Call
from tests.waiting import wait_until
from tests.wire import Reply, head, wire

FILES: Final = ROOT / "clients/nginx"
MODULES: Final = Path("/usr/lib/nginx/modules")
"""Where Debian's packages have them."""
TRUSTED: Final = Path("/etc/ssl/certs/ca-certificates.crt")
WORKERS: Final = 2
SECONDS: Final = {
    "POLL_EVERY, REPORT_EVERY, LOOK_EVERY = 0.25, 5, 0.01": "POLL_EVERY, REPORT_EVERY, LOOK_EVERY = 0.05, 0.5, 0.01",
    "OVER_AFTER = 6": "OVER_AFTER = 1",
    "LEADS_FOR = 3": "LEADS_FOR = 1",
}
"""What the tests wait for comes sooner."""


class Edge(NamedTuple):
    """A running nginx."""

    port: int
    folder: Path

    def request(
        self, path: str, credential: str = "", *lines: str, method: str = "GET", body: bytes = b"", close: bool = True
    ) -> Reply:
        """Send a request with these header lines, byte for byte, and return the answer."""
        if credential:
            lines = (f"Authorization: Bearer {credential}", *lines)
        if body:
            lines = (f"Content-Length: {len(body)}", *lines)
        with wire(self.port) as line:
            line.send(head(method, path, *lines, close=close) + body)
            return line.reply(to_head=method == "HEAD")

    def status(self, path: str, credential: str = "") -> int:
        """Return the status of a plain request."""
        return self.request(path, credential).status

    def call(self, path: str, credential: str, *lines: str) -> Call:
        """Return what the API saw of a request that is let in."""
        answer = self.request(path, credential, *lines)
        assert answer.status == 200, answer
        return Call(**json.loads(answer.body))

    def reload(self) -> None:
        """Have nginx start new workers, and return once the old ones have ended."""
        before = self.workers()
        os.kill(self._main(), signal.SIGHUP)
        wait_until(lambda: len(now := self.workers()) == len(before) and not now & before, otherwise=self.log)

    def workers(self) -> frozenset[int]:
        """Return the ids of the worker processes."""
        main = self._main()
        return frozenset(map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split()))

    def log(self) -> str:
        """Return what nginx has logged."""
        return (self.folder / "error.log").read_text()

    def _main(self) -> int:
        return int((self.folder / "nginx.pid").read_text())


def has_lua() -> bool:
    """Return whether nginx can load Lua here."""
    return (MODULES / "ngx_http_lua_module.so").exists()


@contextmanager
def running_edge(
    folder: Path,
    port: int,
    portal: str,
    api: int,
    *,
    more: str = "",
    locations: str = "",
    beside: str = "",
    trusted: Path = TRUSTED,
    workers: int = WORKERS,
    as_shipped: bool = False,
    changed: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Edge]:
    """Start nginx with the files of clients/nginx. `more` are options of `start`, the other texts configuration.

    Unless it is to be as shipped, what the tests wait for comes sooner. `changed` are more replacements of patterns.
    """
    changes = {
        r'portal = "[^"]+",': f'portal = "{portal}", {more}',
        r"/etc/nginx/": f"{folder}/",
        str(TRUSTED): str(trusted),
        r"127\.0\.0\.1:9000": f"127.0.0.1:{api}",
        r"listen \d+": f"listen 127.0.0.1:{port}",
        r"    location / \{": f"{locations}\n    location / {{",
        **changed,
    }
    for file in FILES.glob("*.conf"):
        text = file.read_text()
        for pattern, replacement in changes.items():
            text = re.sub(pattern, replacement, text)
        (folder / file.name).write_text(text)
    module = (FILES / "keyportal.lua").read_text()
    for seconds, fewer in ({} if as_shipped else SECONDS).items():
        assert seconds in module
        module = module.replace(seconds, fewer)
    (folder / "keyportal.lua").write_text(module)
    _write_main(folder, workers, beside)
    with started(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], [port], folder):
        yield Edge(port, folder)


@contextmanager
def edge(
    folder: Path,
    port: int,
    portals: Sequence[int],
    api: int,
    *,
    browser_apps: bool = False,
    more: str = "",
    locations: str = "",
    beside: str = "",
) -> Iterator[None]:
    """Start it in front of a portal whose address is https, and which it asks over plain http (tests/behind.py)."""
    [portal] = portals
    more += f'address = "http://127.0.0.1:{portal}",'
    more += f' browser_apps = {{ "{BROWSER_APP}" }},' if browser_apps else ""
    with running_edge(folder, port, "https://portal.test", api, more=more, locations=locations, beside=beside):
        yield


def _write_main(folder: Path, workers: int, beside: str) -> None:
    """Write the file that includes the others."""
    modules = "".join(f"load_module {MODULES / name}.so;\n" for name in ("ndk_http_module", "ngx_http_lua_module"))
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{modules}{user}daemon off;\nworker_processes {workers};\npid {folder}/nginx.pid;\n"
        f"error_log {folder}/error.log notice;\nevents {{}}\nhttp {{\naccess_log {folder}/access.log;\n{temporary}"
        f"include keyportal.conf;\ninclude site.conf;\n{beside}}}\n"
    )
