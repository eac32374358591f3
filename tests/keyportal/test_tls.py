"""TLS that ends in the server itself, with a file for certificate and key."""

import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest

from keyportal.http_server.bounds import HEAD_WITHIN
from tests.certificates import new_certificate
from tests.databases import portal_database
from tests.oauth_client import ClientKey
from tests.portal import Portal
from tests.waiting import DEADLINE
from tests.wire import Wire

pytestmark = pytest.mark.once
OWNER = "tls@example.com"


class TLSPortal(Portal):
    """One that is asked over TLS."""

    def line(self) -> HTTPConnection:
        """Return a connection whose other end must show the certificate."""
        trusted = ssl.create_default_context(cafile=self.environment["KEYPORTAL_TLS_CERTIFICATE"])
        return HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE, context=trusted)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TLSPortal]:
    folder: Path = tmp_path_factory.mktemp("tls")
    files = [folder / "certificate.pem", folder / "key.pem"]
    for file, written in zip(files, new_certificate("127.0.0.1"), strict=True):
        file.write_bytes(written)
    with portal_database(folder) as url:
        site = TLSPortal(
            folder,
            url,
            KEYPORTAL_TLS_CERTIFICATE=str(files[0]),
            KEYPORTAL_TLS_KEY=str(files[1]),
            KEYPORTAL_LOCAL="false",
        )
        site.environment["KEYPORTAL_URL"] = f"https://127.0.0.1:{site.port}"
        with site.running():
            site.make_developer(OWNER)
            yield site


@pytest.fixture(scope="module")
def client(site: TLSPortal) -> ClientKey:
    return ClientKey(*site.make_key(OWNER))


def test_pages_and_verdicts_are_answered_and_browsers_stay_with_https(site: TLSPortal, client: ClientKey) -> None:
    assert site.get("/gateway/auth", Authorization=f"Bearer {client.secret}").status == 200
    page = site.get("/accounts/login/")
    assert page.status == 200
    assert page.headers["strict-transport-security"].startswith("max-age=31536000")
    assert "__Host-csrftoken" in page.headers["set-cookie"]
    assert "max-age=31536000" in site.get("/healthz").headers["strict-transport-security"]


def test_a_body_comes_whole_whatever_the_records_are(site: TLSPortal, client: ClientKey) -> None:
    body = json.dumps({"credential": "x" * 8000}).encode()
    head = {"Authorization": f"Bearer {client.secret}", "Content-Type": "application/json"}
    with closing(site.line()) as line:
        line.connect()
        raw = b"POST /api/v1/verify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n" % len(body)
        raw += "".join(f"{name}: {value}\r\n" for name, value in head.items()).encode() + b"\r\n" + body
        for place in range(0, len(raw), 500):
            line.sock.sendall(raw[place : place + 500])
        answered = b"".join(iter(lambda: line.sock.recv(65536), b""))
    assert answered.startswith(b"HTTP/1.1 403 ")  # it lacks the scope: so it was known


@pytest.mark.finding("H8")
def test_who_never_ends_the_handshake_holds_nobody_up_and_is_let_go(site: TLSPortal, client: ClientKey) -> None:
    with ExitStack() as opened:
        lines = [opened.enter_context(closing(Wire(site.port, timeout=4 * HEAD_WITHIN))) for _ in range(100)]
        for half in lines[:50]:
            half.send(b"\x16\x03\x01\x02\x00\x01")
        lines[0].send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(20):
            assert site.get("/gateway/auth", Authorization=f"Bearer {client.secret}").status == 200
        assert all(line.is_closed() for line in lines)
    assert "Traceback" not in site.log.read_text()
