"""TLS, proxies, and addresses where nobody answers: what is said of each, and that it is no verdict."""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keyportal_client import AsyncVerifier, VerdictUnavailableError, Verifier
from keyportal_client.api import Client
from keyportal_client.caller import FixedCredential
from keyportal_client.errors import AddressError, UnreachableError
from keyportal_client.verifying.access import access_to
from keyportal_client.verifying.exchange import proxy_of
from tests.certificates import new_certificate
from tests.clients.stub import Reply, serving
from tests.clients.verifying.samples import KEY, a_secret
from tests.clients.verifying.scripted import SERVICE_KEY, ScriptedPortal
from tests.ports import free_port

pytestmark = pytest.mark.once

Check = Callable[..., str]


def check_in_thread(portal: str, secret: str, timeout: float = 30.0) -> str:
    with Verifier(portal, key=SERVICE_KEY, timeout=timeout) as verifier:
        return verifier.verify(secret).id


def check_in_loop(portal: str, secret: str, timeout: float = 30.0) -> str:
    async def check() -> str:
        async with AsyncVerifier(portal, key=SERVICE_KEY, timeout=timeout) as verifier:
            return (await verifier.verify(secret)).id

    return asyncio.run(check())


both = pytest.mark.parametrize("check", [check_in_thread, check_in_loop])


def said_of(check: Check, portal: str, caplog: pytest.LogCaptureFixture, **more: float) -> str:
    """Return what the log says first of a portal that can't be asked."""
    caplog.set_level(logging.DEBUG, "keyportal_client")
    with pytest.raises(VerdictUnavailableError):
        check(portal, a_secret(), **more)
    return caplog.records[0].getMessage()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 and its key, in files."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = new_certificate("127.0.0.1")
    (folder / "certificate.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    return folder


@pytest.fixture
def context(tls: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "certificate.pem", tls / "key.pem")
    return context


@both
def test_a_certificate_that_this_machine_trusts_is_good(
    check: Check, tls: Path, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls / "certificate.pem"))
    portal = ScriptedPortal()
    with serving(portal, context, keeps=True) as portal.stub:
        assert check(portal.url, portal.new_key()) == KEY


@both
def test_a_certificate_that_nobody_vouches_for_is_none(
    check: Check, context: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(lambda request: Reply(0), context) as stub:
        assert "The certificate of https://127.0.0.1" in said_of(check, stub.url, caplog)
        assert stub.received == []


@both
def test_a_portal_without_tls_is_not_spoken_to(check: Check, caplog: pytest.LogCaptureFixture) -> None:
    with serving(lambda request: Reply(0)) as stub:
        assert "does not use TLS" in said_of(check, stub.url.replace("http:", "https:"), caplog)
        assert stub.received == []


@both
def test_an_address_where_nobody_listens(check: Check, caplog: pytest.LogCaptureFixture) -> None:
    assert "Nothing answers at http://127.0.0.1" in said_of(check, f"http://127.0.0.1:{free_port()}", caplog)


@both
@pytest.mark.parametrize("host", ["portal.invalid", "a" * 64 + ".invalid"])
def test_a_host_that_does_not_exist(check: Check, host: str, caplog: pytest.LogCaptureFixture) -> None:
    said = said_of(check, f"https://{host}", caplog)
    assert host in said
    assert "Check the address" in said


@both
def test_what_does_not_speak_http(check: Check, caplog: pytest.LogCaptureFixture) -> None:
    with serving(lambda request: Reply(200, b"", headers={"Content-Length": "nonsense"})) as stub:
        assert "does not speak HTTP" in said_of(check, stub.url, caplog)


@contextlib.contextmanager
def dribbling() -> Iterator[str]:
    """Answer on each connection a byte at a time, without an end."""

    def answer() -> None:
        with contextlib.suppress(OSError):
            while not has_ended.is_set():
                connections.append(listener.accept()[0])

    def dribble() -> None:
        while not has_ended.wait(0.01):
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.sendall(b"H")

    has_ended, connections = threading.Event(), list[socket.socket]()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=each, daemon=True) for each in (answer, dribble)]
        for thread in threads:
            thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        has_ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
    for connection in connections:
        connection.close()


@both
def test_an_answer_that_arrives_byte_by_byte_is_given_up(check: Check, caplog: pytest.LogCaptureFixture) -> None:
    with dribbling() as portal:
        assert "did not answer in time" in said_of(check, portal, caplog, timeout=0.1)


def test_a_call_whose_answer_arrives_byte_by_byte_is_given_up() -> None:
    with dribbling() as portal, pytest.raises(UnreachableError, match="did not answer"):
        Client(portal, FixedCredential(SERVICE_KEY), timeout=0.1).me()


def test_a_proxy_is_used_as_a_tunnel_with_its_own_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://who:planted%20word@proxy.example.com:3128")
    proxy = proxy_of(access_to("https://keys.example.com", "k", 2))
    assert proxy is not None
    assert (str(proxy.url), proxy.auth) == ("http://proxy.example.com:3128", None)
    assert proxy.headers["Proxy-Authorization"] == "Basic d2hvOnBsYW50ZWQgd29yZA=="
    assert "planted" not in repr(proxy)
    monkeypatch.setenv("HTTPS_PROXY", "[::1]:3128")
    proxy = proxy_of(access_to("https://keys.example.com", "k", 2))
    assert proxy is not None
    assert str(proxy.url) == "http://[::1]:3128"
    monkeypatch.setenv("NO_PROXY", "keys.example.com")
    assert proxy_of(access_to("https://keys.example.com", "k", 2)) is None


@both
def test_a_proxy_that_can_not_be_used_is_no_verdict(
    check: Check, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://who:planted@proxy.example.com")
    said = said_of(check, "https://keys.example.com", caplog)
    assert "HTTPS_PROXY names no proxy that can be used" in said
    assert "planted" not in caplog.text
    with pytest.raises(UnreachableError):
        proxy_of(access_to("https://keys.example.com", "k", 2))


@pytest.mark.parametrize(("allowed", "is_taken"), [("true", True), ("1", True), ("", False), ("false", False)])
def test_another_machine_is_reached_without_tls_only_where_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch, allowed: str, is_taken: bool
) -> None:
    monkeypatch.setenv("KEYPORTAL_ALLOW_HTTP", allowed)
    if is_taken:
        assert Verifier("http://keyportal:8000", key=SERVICE_KEY).portal == "http://keyportal:8000"
    else:
        with pytest.raises(AddressError, match="KEYPORTAL_ALLOW_HTTP=true"):
            Verifier("http://keyportal:8000", key=SERVICE_KEY)
