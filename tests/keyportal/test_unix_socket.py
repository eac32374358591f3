"""A proxy on a Unix socket has no address: what it forwards counts where the setting names it `unix`."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from pytest_django import Settings

from audit.client_address import is_trusted_proxy, parse_address
from keyportal.http_server.request import Request, Sender, _warn_of_the_socket
from tests.databases import portal_database
from tests.oauth_client import basic
from tests.portal import Portal
from tests.settings_reader import read_settings
from tests.waiting import DEADLINE

pytestmark = [pytest.mark.once, pytest.mark.finding("H13")]

ONE, OTHER = "203.0.113.1", "203.0.113.2"
ID = "request-of-a-proxy"


class SocketPortal(Portal):
    """One that listens on a Unix socket in its folder."""

    @property
    def path(self) -> str:
        return str(self.folder / "s")

    def listens_at(self) -> list[str]:
        return ["--bind", f"unix:{self.path}"]

    def line(self) -> HTTPConnection:
        line = HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        line.sock = socket.socket(socket.AF_UNIX)
        line.sock.settimeout(DEADLINE)
        line.sock.connect(self.path)
        return line

    def guess(self, address: str) -> int:
        """Try a wrong password, as a client at this address would through a proxy."""
        headers = {"Authorization": basic("nobody@example.com", "wrong"), "X-Forwarded-For": address}
        return self.request("POST", "/api/v1/tokens", headers=headers).status

    def signs_in_by_https(self) -> bool:
        """Return whether the page is shown, rather than sent to https."""
        return self.get("/accounts/login/", **{"X-Forwarded-Proto": "https"}).status == 200


@contextmanager
def on_a_socket(folder: Path, **environment: str) -> Iterator[SocketPortal]:
    with portal_database(folder) as database_url:
        portal = SocketPortal(folder, database_url, KEYPORTAL_LIMIT_LOGIN_ADDRESS="2 per hour", **environment)
        portal.environment |= {"KEYPORTAL_LOCAL": "false", "KEYPORTAL_URL": f"https://127.0.0.1:{portal.port}"}
        with portal.running(workers=1):
            yield portal


def test_the_proxy_on_a_socket_is_believed_where_it_is_named(tmp_path: Path) -> None:
    with on_a_socket(tmp_path, KEYPORTAL_TRUSTED_PROXIES="10.0.0.0/8, unix") as portal:
        assert portal.signs_in_by_https()
        assert [portal.guess(ONE) for _ in range(3)] == [401, 401, 429]
        assert portal.guess(OTHER) == 401
        assert portal.guess(f"{OTHER}, {ONE}") == 429  # what the client wrote itself
        id_ = "request-of-a-proxy"
        for path in ("/healthz", "/gateway/auth"):
            assert portal.get(path, **{"X-Request-ID": id_}).headers["x-request-id"] == id_
        assert "Unix socket" not in portal.log.read_text()
        assert f"Listening at: unix:{portal.path} (" in portal.log.read_text()


def test_who_asks_over_a_socket_is_not_believed_otherwise_and_the_log_says_so(tmp_path: Path) -> None:
    with on_a_socket(tmp_path, KEYPORTAL_TRUSTED_PROXIES="10.0.0.0/8") as portal:
        assert not portal.signs_in_by_https()
        assert [portal.guess(address) for address in (ONE, OTHER, ONE)] == [401, 401, 429]
        assert portal.log.read_text().count("requests come over a Unix socket") == 1


def sender(peer: str = "", forwarded: str = ONE) -> Sender:
    """Return who a request with forwarded headers is taken to be from; a peer over a Unix socket has no address."""
    address = parse_address(peer)
    request = Request(address, is_trusted_proxy(address), "http")
    request.headers = [(b"x-forwarded-for", forwarded.encode()), (b"x-request-id", ID.encode())]
    return request.sender()


@pytest.mark.parametrize("trusted", [(), ("0.0.0.0/1",), ("10.0.0.0/8", "::/1")])
def test_no_network_holds_a_socket(settings: Settings, trusted: tuple[str, ...]) -> None:
    settings.KEYPORTAL_TRUSTED_PROXIES = trusted
    assert not is_trusted_proxy(None)
    assert sender().address is None
    assert sender().request_id != ID


def test_a_named_socket_is_no_network(settings: Settings) -> None:
    settings.KEYPORTAL_TRUSTED_PROXIES = ("unix",)
    assert str(sender().address) == ONE
    assert sender(forwarded="").address is None
    assert sender(forwarded=f"{ONE}, nonsense").address is None
    assert str(sender(OTHER).address) == OTHER
    assert sender().request_id == ID
    assert sender(OTHER).request_id != ID


@pytest.mark.parametrize("written", ["unix", " unix , 10.0.0.0/8", "10.0.0.0/8\nunix"])
def test_trusted_proxies_take_the_word_unix(written: str) -> None:
    assert "unix" in read_settings(KEYPORTAL_TRUSTED_PROXIES=written).option("KEYPORTAL_TRUSTED_PROXIES")


@pytest.mark.parametrize("written", ["unix:", "UNIX", "unix:/run/x.sock", "unix 10.0.0.0/8", "unix/8", "unix://"])
def test_trusted_proxies_take_nothing_that_resembles_unix(written: str) -> None:
    assert read_settings(KEYPORTAL_TRUSTED_PROXIES=written).values is None


def test_the_networks_of_the_metrics_hold_no_socket() -> None:
    assert read_settings(KEYPORTAL_METRICS_NETWORKS="unix").values is None


def test_the_log_warns_once(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.KEYPORTAL_TRUSTED_PROXIES = ("unix",)
    _warn_of_the_socket.cache_clear()
    with caplog.at_level(logging.WARNING, "keyportal.http_server.request"):
        sender()
        assert caplog.messages == []
        settings.KEYPORTAL_TRUSTED_PROXIES = ()
        for _ in range(3):
            sender()
    assert len(caplog.messages) == 1
