"""Rows 16 and 17: what a check costs a service, in nginx with the module and in FastAPI with the Python client.

Each round measures every variant in turn: open, with a check from memory, and with the portal asked each time.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.load import load
from benchmarks.rows import Row, Table, spread
from tests.edges import running_edge
from tests.gateways import started
from tests.portal import ROOT, Portal
from tests.ports import free_port
from tests.with_postgres import postgres_cluster

ROUNDS: Final = int(os.environ.get("ROUNDS", "10"))
SECONDS: Final = float(os.environ.get("SECONDS", "2"))
SETTINGS: Final = {"KEYPORTAL_LIMIT_SERVICE": "100000000/minute", "KEYPORTAL_USAGE_FLUSH": "5"}
OWNER: Final = "service@example.com"
SCOPE: Final = "bench:read"
PROXIED: Final = 'proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection "";'
CHECKED: Final = f'access_by_lua_block {{ require("keyportal").protect {{ scope = "{SCOPE}" }} }}'
LOCATIONS: Final = f"""
    location /open/ {{ {PROXIED} }}
    location /edge/ {{ {CHECKED} {PROXIED} }}
    location /asked/ {{ auth_request /ask; {PROXIED} }}
    location /file/open/ {{ root .; }}
    location /file/edge/ {{ {CHECKED} root .; }}
    location = /ask {{
        internal;
        proxy_pass http://portal/gateway/auth;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
    }}
"""
BESIDE: Final = "upstream portal {{ server 127.0.0.1:{port}; keepalive 32; }}"
API: Final = """
daemon off; worker_processes 1; pid {folder}/api.pid; error_log {folder}/api.log; events {{}}
http {{
  access_log off; keepalive_requests 1000000;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 ok; }} }}
}}
"""


class OneThread(Portal):
    """A portal whose workers have one thread, as docs/scaling.md advises for gateways."""

    threads = 1


def measure() -> list[Table]:
    """Return the tables of nginx and of FastAPI."""
    with (
        tempfile.TemporaryDirectory(prefix="keyportal-bench-") as name,
        postgres_cluster() as cluster,
        OneThread(Path(name), cluster.url, **SETTINGS).running(workers=1) as portal,
    ):
        portal.shell(f"Scope.objects.create(name={SCOPE!r}, description='Read')")
        portal.make_developer(OWNER)
        _, service = portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted")
        _, secret = portal.make_key(OWNER, "--scope", SCOPE)
        with _nginx(portal, Path(name), service) as address:
            nginx = _rates(
                address, ("open/", "edge/", "asked/", "file/open/index.html", "file/edge/index.html"), secret
            )
        with _fastapi(portal, Path(name), service) as address:
            fastapi = _rates(address, ("open", "behind", "declared", "checked", "asked"), secret)
    note = f"One worker each, {ROUNDS} rounds of {SECONDS:g} s a variant, in turn."
    return [
        Table("nginx, PostgreSQL", _of_nginx(nginx), note, nginx),
        Table("FastAPI, PostgreSQL", _of_fastapi(fastapi), note, fastapi),
    ]


def _of_nginx(rates: Mapping[str, list[float]]) -> list[Row]:
    return [
        _row(rates, "16", "location with the module, warm / the open location", ("edge", "open"), "≥ 0.8"),
        _row(rates, "16", "the same / `auth_request`", ("edge", "asked"), "≥ 2.5"),
        _row(
            rates,
            "-",
            "a file behind the module, warm / an open file",
            ("file edge", "file open"),
            "-",
        ),
    ]


def _of_fastapi(rates: Mapping[str, list[float]]) -> list[Row]:
    return [
        _row(rates, "17", "FastAPI with the middleware, warm / without a check", ("behind", "open"), "≥ 0.9"),
        _row(
            rates, "17", "with the dependency, warm / with an `HTTPBearer` unchecked", ("checked", "declared"), "≥ 0.9"
        ),
        _row(rates, "-", "with the dependency, warm / without any", ("checked", "open"), "-"),
        _row(rates, "-", "with the dependency / asking `/api/v1/verify` each time", ("checked", "asked"), "-"),
    ]


def _row(rates: Mapping[str, list[float]], number: str, what: str, names: tuple[str, str], reach: str) -> Row:
    one, other = (rates[name] for name in names)
    return Row(number, what, spread([a / b for a, b in zip(one, other, strict=True)]), reach)


def _rates(address: str, paths: Sequence[str], secret: str) -> dict[str, list[float]]:
    """Return the requests per second of each variant, one figure per round."""
    urls = {_name_of(path): f"{address}/{path}" for path in paths}
    header = f"Bearer {secret}"
    for url in urls.values():
        load(url, header, seconds=1)  # warm
    rates: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, url in urls.items():
            rates.setdefault(name, []).append(load(url, header, seconds=SECONDS).rate)
    return rates


def _name_of(path: str) -> str:
    """Return what a variant is called in the table."""
    return path.removesuffix("/index.html").strip("/").replace("/", " ")


@contextmanager
def _nginx(portal: Portal, folder: Path, service: str) -> Iterator[str]:
    """Start nginx with the module, in front of an API that is nginx as well; yield its address."""
    port, api = free_port(), free_port()
    (folder / "keyportal.key").write_text(service)
    for kind in ("open", "edge"):
        (folder / "file" / kind).mkdir(parents=True)
        (folder / "file" / kind / "index.html").write_text("ok")
    (folder / "api.conf").write_text(API.format(folder=folder, port=api))
    beside = BESIDE.format(port=portal.port)
    with (
        started(["nginx", "-c", str(folder / "api.conf")], [api], folder),
        running_edge(folder, port, portal.url, api, locations=LOCATIONS, beside=beside, workers=1, as_shipped=True),
    ):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _fastapi(portal: Portal, folder: Path, service: str) -> Iterator[str]:
    """Start uvicorn with benchmarks/fastapi_app.py; yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.fastapi_app:app", "--port", str(port), "--no-access-log"]
    known = {"KEYPORTAL_PORTAL": portal.url, "KEYPORTAL_KEY": service}
    with started(command, [port], folder, PYTHONPATH=f"{ROOT}:{ROOT / 'clients/python'}", **known):
        yield f"http://127.0.0.1:{port}"
