"""nginx, Caddy and HAProxy with the very files of deploy/: only addresses, ports and certificates are the tests'."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.certificates import new_certificate
from tests.portal import ROOT
from tests.waiting import DEADLINE, wait_until

NGINX: Final = ROOT / "deploy/nginx"
DEBIANS: Final = Path("/etc/nginx")
"""Where nginx's package has the parameters of CGI."""
BROWSER_APP: Final = "https://app.example.com"
"""The origin that the files name as an example."""
CERTIFICATE, KEY = "certificate.pem", "key.pem"


@contextmanager
def started(command: list[str], ports: Sequence[int], folder: Path, **environment: str) -> Iterator[None]:
    """Run a gateway until the block is left; end it by its process id."""
    with (folder / "gateway.log").open("ab") as log:
        found = {"HOME": str(folder), "PATH": f"{os.environ['PATH']}:/usr/sbin", **environment}
        process = subprocess.Popen(command, cwd=folder, env=found, stdout=log, stderr=log)

    def listens() -> bool:
        assert process.poll() is None, (folder / "gateway.log").read_text()
        return all(_is_open(port) for port in ports)

    try:
        wait_until(listens)
        yield
    finally:
        process.terminate()
        process.wait(timeout=DEADLINE)


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE).close()
    except OSError:
        return False
    return True


@contextmanager
def nginx(
    folder: Path,
    port: int,
    portals: Sequence[int],
    api: int,
    *,
    site: str = "site",
    browser_apps: bool = False,
    beside: str = "",
) -> Iterator[None]:
    """Start nginx with deploy/nginx and one of the sites in its conf.d; `beside` is more configuration."""
    servers = "\n    ".join(f"server 127.0.0.1:{portal} max_fails=0;" for portal in portals)
    changes = {
        r"server 127\.0\.0\.1:8000 max_fails=0;": servers,
        r"127\.0\.0\.1:900\d": f"127.0.0.1:{api}",
        r"listen \d+": f"listen 127.0.0.1:{port}",
        **({f'# "{BROWSER_APP}"': f'"{BROWSER_APP}"'} if browser_apps else {}),
    }
    with running_nginx(folder, ["keyportal", site], [port], changes, beside=beside):
        yield


@contextmanager
def running_nginx(
    folder: Path, sites: Sequence[str], ports: Sequence[int], changes: Mapping[str, str], *, beside: str = ""
) -> Iterator[None]:
    """Start nginx with files of deploy/nginx/conf.d, in which patterns are replaced."""
    write_certificate(folder)
    for file in [*NGINX.glob("*.conf"), *(NGINX / "conf.d" / f"{site}.conf" for site in sites)]:
        text = file.read_text()
        for pattern, replacement in changes.items():
            text = re.sub(pattern, replacement, text)
        text = re.sub(r"(ssl_certificate) \S+;", rf"\1 {CERTIFICATE};", text)
        text = re.sub(r"(ssl_certificate_key) \S+;", rf"\1 {KEY};", text)
        (folder / file.name).write_text(text)
    for parameters in ("uwsgi_params", "fastcgi_params"):
        shutil.copy(DEBIANS / parameters, folder)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Otherwise its workers are nobody, who may not write bodies into this folder.
    user = "user root;\n" if os.geteuid() == 0 else ""
    included = "".join(f"include {site}.conf;\n" for site in sites)
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log {folder}/access.log;\n{temporary}{included}{beside}}}\n"
    )
    with started(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], ports, folder):
        yield


@contextmanager
def caddy(
    folder: Path, port: int, portals: Sequence[int], api: int, *, grpc: bool = False, browser_apps: bool = False
) -> Iterator[None]:
    """Start Caddy with deploy/caddy/Caddyfile."""
    tls = f"tls {folder / CERTIFICATE} {folder / KEY}"
    addresses = {
        "GATEWAY_ADDRESS": f"{'https' if grpc else 'http'}://127.0.0.1:{port}",
        "KEYPORTAL_ADDRESS": " ".join(f"127.0.0.1:{portal}" for portal in portals),
        "API_ADDRESS": f"{'h2c://' if grpc else ''}127.0.0.1:{api}",
        **({"GATEWAY_TLS": tls} if grpc else {}),
        **({"BROWSER_APPS": f"^{re.escape(BROWSER_APP)}$"} if browser_apps else {}),
    }
    with running_caddy(folder, "Caddyfile", [port], **addresses):
        yield


@contextmanager
def running_caddy(folder: Path, file: str, ports: Sequence[int], **addresses: str) -> Iterator[None]:
    """Start Caddy with a file of deploy/caddy."""
    write_certificate(folder)
    for part in (ROOT / "deploy/caddy").iterdir():
        shutil.copy(part, folder)
    command = ["caddy", "run", "--config", str(folder / file), "--adapter", "caddyfile"]
    with started(command, ports, folder, **addresses):
        yield


@contextmanager
def haproxy(
    folder: Path,
    port: int,
    portals: Sequence[int],
    api: int,
    *,
    grpc: bool = False,
    browser_apps: bool = False,
    lua: str = "",
) -> Iterator[None]:
    """Start HAProxy with deploy/haproxy; `lua` is put before the script."""
    text = (ROOT / "deploy/haproxy/haproxy.cfg").read_text()
    if browser_apps:
        text = text.replace("acl browser_app always_false", f"acl browser_app req.fhdr(Origin) -m str {BROWSER_APP}")
    line = '    server portal1 "${KEYPORTAL_ADDRESS}"'
    assert line in text
    more = "".join(f"    server portal-{portal} 127.0.0.1:{portal}\n" for portal in portals[1:])
    (folder / "haproxy.cfg").write_text(text.replace(line, more + line))
    script = (ROOT / "deploy/haproxy/keyportal.lua").read_text()
    (folder / "keyportal.lua").write_text(lua + script)
    addresses = {
        "GATEWAY_ADDRESS": f"127.0.0.1:{port}",
        "KEYPORTAL_ADDRESS": f"127.0.0.1:{portals[0]}",
        "API_ADDRESS": f"127.0.0.1:{api}{' proto h2' if grpc else ''}",
        "KEYPORTAL_SOCKET": f"abns@keyportal-{port}",
        "KEYPORTAL_LUA": str(folder / "keyportal.lua"),
    }
    with started(["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], [port], folder, **addresses):
        yield


@contextmanager
def portal_behind_nginx(folder: Path, port: int, plain: int, portal: int) -> Iterator[None]:
    """Start nginx with deploy/nginx/conf.d/portal.conf: https at the one port, http at the other."""
    changes = {
        r"server 127\.0\.0\.1:8000;": f"server 127.0.0.1:{portal};",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        r"https://\$server_name": f"https://127.0.0.1:{port}",
        "/var/log/nginx/": f"{folder}/",
        "/var/www/html": f"{folder}/html",
    }
    with running_nginx(folder, ["portal"], [port, plain], changes):
        yield


@contextmanager
def portal_behind_caddy(folder: Path, port: int, plain: int, portal: int) -> Iterator[None]:
    """Start Caddy with deploy/caddy/Portal.Caddyfile: https at the one port, http at the other."""
    addresses = {
        "PORTAL_ADDRESS": f"https://127.0.0.1:{port}",
        "PORTAL_PLAIN_ADDRESS": f"http://127.0.0.1:{plain}",
        "PORTAL_OTHER_ADDRESSES": f"http://:{plain}, https://:{port}",
        "PORTAL_TLS": f"tls {folder / CERTIFICATE} {folder / KEY}",
        "KEYPORTAL_ADDRESS": f"127.0.0.1:{portal}",
    }
    with running_caddy(folder, "Portal.Caddyfile", [port, plain], **addresses):
        yield


def write_certificate(folder: Path) -> None:
    """Write a certificate for 127.0.0.1 and its key."""
    certificate, key = new_certificate("127.0.0.1")
    (folder / CERTIFICATE).write_bytes(certificate)
    (folder / KEY).write_bytes(key)
