"""The doctor looks at a portal through its public address: behind nginx as deploy/ has it, and behind broken ones."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import pytest
import time_machine
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from keyportal.doctor.examination import examine_outside
from keyportal.doctor.findings import Finding
from keyportal.doctor.outside import encryption, proxy, reach
from keyportal.doctor.outside.site import Site
from tests.databases import portal_database
from tests.gateways import CERTIFICATE, running_nginx, write_certificate
from tests.portal import Portal
from tests.ports import free_port

pytestmark = [pytest.mark.once, pytest.mark.nginx]
SHORT_LIVED: Final = {"certificate_expires"}
"""The tests' certificate is good for an hour."""
TRUSTING: Final = {
    r"proxy_set_header X-Forwarded-For \$remote_addr;": "proxy_set_header X-Forwarded-For $http_x_forwarded_for;",
    r"proxy_set_header Host \$http_host;": "proxy_set_header Host 127.0.0.1:{port};",
    r"client_max_body_size 2560k;": "client_max_body_size 1m;",
    r"gzip off;": "gzip on; gzip_proxied any; gzip_min_length 1; proxy_hide_header Content-Security-Policy; "
    "proxy_hide_header Cache-Control; proxy_hide_header Strict-Transport-Security; proxy_cookie_flags ~ nosecure;",
    r"ssl_protocols TLSv1.2 TLSv1.3;": "ssl_protocols TLSv1.1 TLSv1.2; ssl_ciphers ALL:@SECLEVEL=0;",
    r"location ~ \^/metrics\(/\|\$\) \{{\n        return 404;": "location = /metrics {{\n proxy_pass http://portal;",
    r"return 403 '.*\\n';": "return 301 https://127.0.0.1:{port}$request_uri;",
    r"if \(\$request_method !~ \^\(GET\|HEAD\)\$\) \{{\n\s+return 403;\n\s+\}}\n\s+return 301 \S+;": "proxy_pass "
    "http://portal; proxy_set_header Host 127.0.0.1:{port}; proxy_set_header X-Forwarded-Proto https; "
    "proxy_set_header X-Forwarded-For 192.0.2.1;",
}
"""What an nginx changes that believes its clients, and hides what the portal says."""
LOSING: Final = {
    r"proxy_set_header X-Forwarded-For \$remote_addr;": 'proxy_set_header X-Forwarded-For "";',
    r"proxy_set_header X-Forwarded-Proto \$scheme;": 'proxy_set_header X-Forwarded-Proto "";',
    r"proxy_set_header Host \$http_host;": 'proxy_set_header Host internal; proxy_set_header Authorization "";',
    r"proxy_http_version 1.1;": "proxy_http_version 1.1; limit_except GET POST {{ deny all; }}",
}
"""What an nginx changes that loses much of a request."""


class Front:
    """A portal, and the port at which nginx stands in front of it."""

    def __init__(self, folder: Path, portal: Portal, port: int, plain: int) -> None:
        self.folder, self.portal, self.port, self.plain = folder, portal, port, plain

    @contextmanager
    def nginx(self, changes: Mapping[str, str]) -> Iterator[None]:
        """Start nginx with deploy/nginx/conf.d/portal.conf, changed like this."""
        needed = {
            r"server 127\.0\.0\.1:8000;": f"server 127.0.0.1:{self.portal.port};",
            "listen 80;": f"listen 127.0.0.1:{self.plain};",
            "listen 443 ": f"listen 127.0.0.1:{self.port} ",
            "/var/log/nginx/": f"{self.folder}/",
        }
        ports = {"port": self.port}
        broken = {there.replace("{{", "{").replace("}}", "}"): new.format(**ports) for there, new in changes.items()}
        with running_nginx(self.folder, ["portal"], [self.port, self.plain], {**needed, **broken}):
            yield

    def examine(self, host: str = "127.0.0.1") -> list[Finding]:
        """Return what the doctor finds at the address of nginx."""
        authorities = str(self.folder / CERTIFICATE)
        return examine_outside(Site(f"https://{host}:{self.port}", authorities=authorities, plain_port=self.plain))

    def codes(self, host: str = "127.0.0.1") -> set[str]:
        """Return their codes."""
        return {finding.code for finding in self.examine(host)}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """One in production mode, which trusts the proxies of this machine."""
    folder: Path = tmp_path_factory.mktemp("doctor")
    write_certificate(folder)
    port = free_port()
    with portal_database(folder) as database_url:
        portal = Portal(folder, database_url, KEYPORTAL_TRUSTED_PROXIES="127.0.0.1/32")
        portal.environment |= {
            "KEYPORTAL_LOCAL": "false",
            "KEYPORTAL_URL": f"https://127.0.0.1:{port}",
            "KEYPORTAL_METRICS_NETWORKS": "127.0.0.0/8",
            "KEYPORTAL_METRICS_DIR": str(folder / "metrics"),
        }
        with portal.running(workers=1):
            yield Front(folder, portal, port, free_port())


@pytest.fixture
def front(started: Front, settings: Settings) -> Front:
    """The same, and the doctor has its settings."""
    settings.KEYPORTAL_URL = started.portal.environment["KEYPORTAL_URL"]
    settings.KEYPORTAL_SIGNING_KEYS = started.portal.environment["KEYPORTAL_SIGNING_KEYS"]
    return started


def test_what_deploy_has_is_well(front: Front) -> None:
    with front.nginx({}):
        assert front.codes() == SHORT_LIVED


def test_that_nobody_answers_over_plain_http_is_noted(front: Front) -> None:
    with front.nginx({}):
        authorities = str(front.folder / CERTIFICATE)
        site = Site(f"https://127.0.0.1:{front.port}", authorities=authorities, plain_port=free_port())
        assert {finding.code for finding in encryption.examine(site)} == SHORT_LIVED | {"no_http"}


def test_a_clock_that_is_ahead_is_found(front: Front) -> None:
    with front.nginx({}), time_machine.travel(timezone.now() + timedelta(seconds=30)):
        assert "clock_of_server" in front.codes()


def test_an_nginx_that_believes_its_clients_is_found(front: Front) -> None:
    with front.nginx(TRUSTING):
        assert front.codes() == SHORT_LIVED | {
            "address_forged",
            "any_host",
            "body_refused",
            "cacheable",
            "compressed",
            "cookie_unsafe",
            "headers_lost",
            "machines_redirected",
            "metrics_open",
            "no_hsts",
            "old_tls",
            "one_address",
            "served_in_clear",
        }


def test_an_nginx_that_loses_half_of_a_request_is_found(front: Front) -> None:
    with front.nginx(LOSING):
        found = front.codes()
    lost = {"authorization_lost", "host_changed", "method_refused", "one_address", "proxy_not_trusted"}
    assert lost <= found
    assert "address_forged" not in found


def test_another_deployment_is_found(front: Front, settings: Settings) -> None:
    settings.KEYPORTAL_SIGNING_KEYS = django_settings.KEYPORTAL_SIGNING_KEYS
    settings.KEYPORTAL_URL = "https://portal.example.com"
    with front.nginx({}):
        assert {"another_portal", "another_address"} <= front.codes()


def test_a_certificate_of_another_name_is_found(front: Front) -> None:
    with front.nginx({}):
        assert front.codes("localhost") == {"certificate"}


def test_a_portal_that_is_not_ready_is_found(front: Front) -> None:
    trigger = "DROP TRIGGER keyportal_change_apikeys_apikey_update"
    with front.nginx({}):
        front.portal.shell(f"from django.db import connection as c; c.cursor().execute({trigger!r})")
        assert "not_ready" in front.codes()
        front.portal.manage("createtriggers")
        assert "not_ready" not in front.codes()


def test_nobody_at_the_address_is_found(front: Front) -> None:
    assert front.codes() == {"unreachable"}


def test_somebody_else_at_the_address_is_found() -> None:
    class Friendly(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"It works!")

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Friendly) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        found = list(reach.examine(Site(f"http://127.0.0.1:{server.server_port}")))
        server.shutdown()
    assert [finding.code for finding in found] == ["not_the_portal"]


def test_an_answer_that_drips_for_ever_has_an_end() -> None:
    """Each byte begins the timeout of a socket anew."""
    over = Event()

    class Dripping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            while not over.wait(0.05):
                self.wfile.write(b"x")
                self.wfile.flush()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Dripping) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        found = examine_outside(Site(f"http://127.0.0.1:{server.server_port}"), within=0.3)
        over.set()
        server.shutdown()
    assert [finding.code for finding in found] == ["unreachable"]


def test_nothing_more_is_said_of_what_is_not_the_portal(front: Front) -> None:
    with front.nginx({r"proxy_pass http://portal;\n        proxy_http": "return 200 'It works!';\n proxy_http"}):
        assert front.codes() == {"not_the_portal"}


@pytest.mark.parametrize(
    "address", ["portal.example.com", "127.0.0.1:8000", "ftp://x", "https://[::1", "https://h:99999"]
)
def test_what_is_no_address_is_refused_in_a_line(address: str) -> None:
    with pytest.raises(CommandError, match="must be like https"):
        call_command("doctor", address)
    with pytest.raises(CommandError, match="--ca can't be read"):
        call_command("doctor", "https://portal.example.com", "--ca", "/nonexistent")


def test_a_public_address_without_tls_is_found() -> None:
    assert [finding.code for finding in encryption.examine(Site("http://portal.example.com"))] == ["no_tls"]
    assert list(encryption.examine(Site("http://127.0.0.1:8000"))) == []


def test_a_site_that_does_not_speak_http_is_unreachable() -> None:
    with pytest.raises(OSError, match="refused"):
        Site(f"http://127.0.0.1:{free_port()}").ask("/healthz")


def test_what_the_doctor_sends_is_no_credential_of_anybody() -> None:
    assert re.fullmatch(r"Bearer kp_test_doctor", proxy.BEARER["Authorization"])
