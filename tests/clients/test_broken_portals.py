"""What the command does if the portal is away, slow, another, or somebody else: one sentence and an exit status."""

import json
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import new_certificate
from tests.clients.command import Command, Ended
from tests.clients.stub import A_KEY, KEY, ME, TOKENS, Received, Reply, Stub, as_json, problem, serving
from tests.ports import free_port
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.once
EMPTY = as_json({"items": [], "next": None})


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving(lambda request: EMPTY) as started:
        yield started


@pytest.fixture
def machine(stub: Stub, tmp_path: Path) -> Command:
    """A machine with a key of that server."""
    return Command(tmp_path, stub.url, KEYPORTAL_KEY=KEY, KEYPORTAL_TIMEOUT="1")


@dataclass(frozen=True)
class Redirect:
    """A portal that is said to be elsewhere."""

    status: int
    elsewhere: str

    def __call__(self, request: Received) -> Reply:
        return Reply(self.status, headers={"Location": f"{self.elsewhere}{request.path}"})


def one_sentence(ended: Ended, status: int, said: str) -> None:
    """See that a command ended with one line that helps, and nothing on standard output."""
    assert (ended.returncode, ended.stdout) == (status, ""), ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert KEY not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr


NOT_KNOWN = "The portal's answer is not what this client knows. One of the two is too old."
UNKNOWN = "not a portal that this client knows"
ANSWERS: dict[str, tuple[Reply, int, str]] = {
    "a page": (Reply(200, b"<html>hello</html>", "text/html"), 4, UNKNOWN),
    "no API": (Reply(404, b"<html>not found</html>", "text/html"), 4, UNKNOWN),
    "broken JSON": (Reply(200, b'{"items": ['), 4, UNKNOWN),
    "deep JSON": (Reply(200, b"[" * 100_000), 4, UNKNOWN),
    "nothing": (Reply(200), 4, UNKNOWN),
    "a missing member": (as_json({"items": []}), 4, "One of the two is too old"),
    "another type": (as_json({"items": [{"id": 5}], "next": None}), 4, "One of the two is too old"),
    "JSON of another": (as_json({"error": "no"}, 401), 4, UNKNOWN),
    "a foreign log-in": (Reply(401, b"log in", "text/plain"), 4, UNKNOWN),
    "a bad gateway": (Reply(502, b"<html>502</html>", "text/html"), 4, "not available at the moment"),
    "unavailable for long": (problem(503, "unavailable", Retry_After="90"), 4, "Try again in 90 seconds."),
    "too many": (problem(429, "rate_limited", "Too many requests", Retry_After="42"), 1, "Try again in 42 seconds."),
    "a limit of a proxy": (Reply(429, b"slow", "text/plain", {"Retry-After": "7"}), 1, "Try again in 7 seconds."),
    "a refused key": (problem(401, "paused", "This key is paused"), 3, "KEYPORTAL_KEY: This key is paused. Do this."),
    "a fault": (problem(500, "internal_error", X_Request_ID="r-17"), 1, "by its request id, r-17."),
    "escapes": (problem(403, "x", "\x1b[2Jno"), 1, r"\u001b[2Jno"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_not_the_right_one(stub: Stub, machine: Command, name: str) -> None:
    reply, status, said = ANSWERS[name]
    stub.answer = lambda request: reply
    one_sentence(machine("keys", "list"), status, said)


def test_a_redirect_gets_no_credential(stub: Stub, machine: Command) -> None:
    with serving(lambda request: EMPTY) as thief:
        for status in (301, 302, 307, 308):
            stub.answer = Redirect(status, thief.url)
            one_sentence(
                machine("keys", "list"), 4, "The portal redirects to http://127.0.0.1. Your credential was not"
            )
        assert thief.received == []


def test_no_proxy_and_no_netrc_has_a_say(stub: Stub, machine: Command) -> None:
    with serving(lambda request: EMPTY) as proxy:
        (machine.folder / ".netrc").write_text("default login thief password stolen\n")
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"), proxy.url)
        machine.with_environment(**proxies).done("keys", "list")
        assert proxy.received == []
    assert [request.headers["Authorization"] for request in stub.received] == [f"Bearer {KEY}"]


def test_https_goes_through_the_proxy_as_a_tunnel(machine: Command) -> None:
    """The proxy sees where it goes and nothing else: here it refuses, before anything could be sent."""
    proxy = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def refuse() -> None:
        connection, _ = proxy.accept()
        seen.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        connection.close()

    thread = threading.Thread(target=refuse)
    thread.start()
    address = f"http://me:pass@127.0.0.1:{proxy.getsockname()[1]}"
    far = machine.with_environment(KEYPORTAL_PORTAL="https://keys.example.com", HTTPS_PROXY=address)
    one_sentence(far("keys", "list"), 4, "There is no connection to https://keys.example.com")
    thread.join()
    proxy.close()
    assert seen[0].startswith(b"CONNECT keys.example.com:443 HTTP/1.")
    assert b"Proxy-Authorization: Basic bWU6cGFzcw==" in seen[0]
    assert KEY.encode() not in seen[0]


def test_a_portal_that_is_not_there(machine: Command) -> None:
    away = machine.with_environment(KEYPORTAL_PORTAL=f"http://127.0.0.1:{free_port()}")
    one_sentence(away("keys", "list"), 4, "Nothing answers at http://127.0.0.1:")
    unknown = machine.with_environment(KEYPORTAL_PORTAL="https://no-such-host.invalid")
    one_sentence(unknown("keys", "list"), 4, "There is no host named no-such-host.invalid")


def test_a_certificate_must_be_valid_for_the_portal(machine: Command) -> None:
    certificate, key = new_certificate("127.0.0.1")
    (machine.folder / "server.pem").write_bytes(key + certificate)
    (machine.folder / "trusted.pem").write_bytes(certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(machine.folder / "server.pem")
    with serving(lambda request: EMPTY, context) as stub:
        nowhere = {"HTTPS_PROXY": f"http://127.0.0.1:{free_port()}"}  # this machine is reached without it
        unknown = machine.with_environment(KEYPORTAL_PORTAL=stub.url)
        one_sentence(unknown("keys", "list"), 4, "is not valid for it: self-signed certificate")
        trusted = unknown.with_environment(SSL_CERT_FILE=str(machine.folder / "trusted.pem"), **nowhere)
        trusted.done("keys", "list")
        other = trusted.with_environment(KEYPORTAL_PORTAL=stub.url.replace("127.0.0.1", "localhost"))
        one_sentence(other("keys", "list"), 4, "is not valid for it: Hostname mismatch")
        assert len(stub.received) == 1


def test_a_portal_that_speaks_no_tls(stub: Stub, machine: Command) -> None:
    plain = machine.with_environment(KEYPORTAL_PORTAL=stub.url.replace("http:", "https:"))
    one_sentence(plain("keys", "list"), 4, "does not use TLS as it should")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://keys.example.com", "plain http"),
        ("http://10.0.0.1:8000", "plain http"),
        ("ftp://keys.example.com", "not the address of a portal"),
        ("https://", "not the address of a portal"),
        ("https://keys.example.com:port", "not the address of a portal"),
        ("https://user:password@keys.example.com", "and nothing else"),
        ("https://keys.example.com/keys/?a=b", "and nothing else"),
        ("https://keys.example.com\r\nX: y", "not the address of a portal"),
    ],
)
def test_an_address_that_no_credential_is_sent_to(machine: Command, address: str, said: str) -> None:
    one_sentence(machine.with_environment(KEYPORTAL_PORTAL=address)("keys", "list"), 2, said)


def test_a_credential_that_is_none_is_not_sent(stub: Stub, machine: Command) -> None:
    for key in ("kp live", "kp\nX: y", "schlüssel"):
        one_sentence(machine.with_environment(KEYPORTAL_KEY=key)("keys", "list"), 2, "This is not a credential")
    for seconds in ("soon", "0", "99999"):
        one_sentence(machine.with_environment(KEYPORTAL_TIMEOUT=seconds)("keys", "list"), 2, "KEYPORTAL_TIMEOUT")
    assert stub.received == []


def test_streams_that_are_closed_from_the_beginning_are_no_traceback(stub: Stub, machine: Command) -> None:
    stub.answer = lambda request: as_json({**A_KEY, "secret": KEY}, 201)
    shell = Command(machine.folder, program=("sh", "-c", 'exec "$@" >&-', "sh", *machine.program))
    shell.environment = machine.environment
    lost = shell("keys", "create", "--name", "x")
    assert (lost.returncode, "Traceback" in lost.stderr, "--idempotency-key" in lost.stderr) == (1, False, True)
    shell.program = ("sh", "-c", 'exec "$@" <&- 2>&-', "sh", *machine.program)
    assert shell("keys", "create", "--name", "x").stdout == KEY + "\n"
    assert shell("keys", "revoke", "key_1").returncode == 2


def test_where_nothing_can_be_kept_nobody_logs_in(stub: Stub, command: Command) -> None:
    homeless = command.with_environment(KEYPORTAL_CONFIG_DIR="/proc/keyportal")
    login = ("login", "--portal", stub.url, "--email", "a@example.com", "--password-stdin")
    one_sentence(homeless(*login, stdin="x"), 1, "/proc/keyportal can't be written")
    assert stub.received == []


def test_a_silent_portal_is_not_waited_for_ever(stub: Stub, machine: Command) -> None:
    let_go = threading.Event()

    def wait(request: Received) -> Reply:
        let_go.wait()
        return EMPTY

    stub.answer = wait
    one_sentence(machine("keys", "list"), 4, "did not answer within 1 s.")
    made = machine("keys", "create", "--name", "x")
    assert (made.returncode, "--idempotency-key" in made.stderr) == (4, True)
    process = machine.with_environment(KEYPORTAL_TIMEOUT="600").begin("keys", "list")
    wait_until(lambda: len(stub.received) == 3)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=DEADLINE) == ("", "\nInterrupted.\n")
    assert process.returncode == 130
    let_go.set()


def test_a_connection_that_is_cut_is_tried_again_with_the_same_idempotency_key(stub: Stub, machine: Command) -> None:
    replies = [Reply(0), problem(503, "unavailable", Retry_After="1"), as_json({**A_KEY, "secret": KEY}, 201)]
    stub.answer = lambda request: replies.pop(0)
    assert machine.done("keys", "create", "--name", "x", "--expires", "never").stdout == KEY + "\n"
    assert len({request.headers["Idempotency-Key"] for request in stub.received}) == 1
    assert [json.loads(request.body) for request in stub.received] == [{"name": "x", "expires_at": "never"}] * 3


def test_a_connection_that_is_always_cut_is_said(stub: Stub, machine: Command) -> None:
    stub.answer = lambda request: Reply(0)
    one_sentence(machine("keys", "list"), 4, "closed the connection without an answer")
    assert len(stub.received) == 3


class Tokens:
    """A portal whose access tokens are expired before their time, as often as a test says."""

    def __init__(self, expired: int) -> None:
        self.expired = expired
        self.number = 1

    def __call__(self, request: Received) -> Reply:
        if request.path.endswith("/refresh"):
            assert json.loads(request.body) == {"refresh_token": f"refresh-{self.number}"}
            self.number += 1
            return as_json(self.tokens())
        if request.path.endswith("/tokens"):
            return as_json(self.tokens()) if request.method == "POST" else Reply(204)
        if request.path.endswith("/me"):
            return as_json(ME)
        assert request.headers["Authorization"] == f"Bearer access-{self.number}"
        return problem(401, "expired", "This credential has expired") if self.number <= self.expired else EMPTY

    def tokens(self) -> dict[str, Any]:
        return {**TOKENS, "access_token": f"access-{self.number}", "refresh_token": f"refresh-{self.number}"}


@dataclass(frozen=True)
class Refreshing:
    """A portal that answers a refresh otherwise."""

    portal: Tokens
    reply: Reply

    def __call__(self, request: Received) -> Reply:
        return self.reply if request.path.endswith("/refresh") else self.portal(request)


def paths(stub: Stub) -> list[str]:
    return [request.path.removeprefix("/api/v1/") for request in stub.received]


def test_a_token_that_the_portal_calls_expired_is_refreshed_once(stub: Stub, command: Command) -> None:
    stub.answer = Tokens(expired=1)
    command.log_in(stub.url, "a@example.com")
    stub.received.clear()
    command.done("keys", "list")
    assert paths(stub) == ["keys", "tokens/refresh", "keys"]


def test_a_token_that_stays_expired_is_refreshed_once_and_no_more(stub: Stub, command: Command) -> None:
    stub.answer = Tokens(expired=9)
    command.log_in(stub.url, "a@example.com")
    stub.received.clear()
    assert command("keys", "list").returncode == 3
    assert paths(stub) == ["keys", "tokens/refresh", "keys"]
    held = json.loads(command.logins.read_text())
    held["logins"][stub.url]["secret"] = held["logins"][stub.url]["secret"].replace('"good_until": ', '"good_until": -')
    command.logins.write_text(json.dumps(held))
    stub.received.clear()
    assert command("keys", "list").returncode == 3
    assert paths(stub) == ["tokens/refresh", "keys"]


def test_a_refresh_is_never_repeated_and_keeps_the_log_in_if_nobody_answers(stub: Stub, command: Command) -> None:
    portal = Tokens(expired=1)
    stub.answer = portal
    command.log_in(stub.url, "a@example.com")
    stub.received.clear()
    for reply in (Reply(0), Reply(502), problem(429, "rate_limited", Retry_After="9")):
        stub.answer = Refreshing(portal, reply)
        assert command("keys", "list").returncode in (1, 4)
    assert paths(stub) == ["keys", "tokens/refresh"] * 3
    stub.answer = portal
    command.done("keys", "list")


def test_ctrl_c_during_a_refresh_loses_no_token(stub: Stub, command: Command) -> None:
    portal, begun, let_go = Tokens(expired=1), threading.Event(), threading.Event()

    def slow(request: Received) -> Reply:
        if request.path.endswith("/refresh"):
            begun.set()
            let_go.wait()
        return portal(request)

    stub.answer = slow
    command.log_in(stub.url, "a@example.com")
    process = command.begin("keys", "list")
    begun.wait()
    process.send_signal(signal.SIGINT)
    let_go.set()
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert "refresh-2" in command.logins.read_text()
    command.done("keys", "list")


def test_a_log_out_that_the_portal_does_not_hear_is_one_here(stub: Stub, command: Command) -> None:
    stub.answer = Tokens(expired=0)
    command.log_in(stub.url, "a@example.com")
    stub.answer = lambda request: Reply(502)
    one_sentence(
        command("logout"), 4, "goes on until it expires. You can end it in the portal, under “Signed-in apps”."
    )
    assert json.loads(command.logins.read_text())["logins"] == {}


def test_a_log_out_without_a_portal_says_one_thing(command: Command) -> None:
    with serving(Tokens(expired=0)) as stub:
        command.log_in(stub.url, "a@example.com")
    ended = command("logout")
    one_sentence(ended, 4, f"Error: Nothing answers at {stub.url}.")
    assert "The log-in is forgotten here. The portal could not be told" in ended.stderr
    assert "Logged out" not in ended.stderr
    assert json.loads(command.logins.read_text())["logins"] == {}


def test_a_log_out_of_a_log_in_that_had_ended_is_one(stub: Stub, command: Command) -> None:
    portal = Tokens(expired=0)
    stub.answer = portal
    command.log_in(stub.url, "a@example.com")
    held = json.loads(command.logins.read_text())
    held["logins"][stub.url]["secret"] = held["logins"][stub.url]["secret"].replace('"good_until": ', '"good_until": -')
    command.logins.write_text(json.dumps(held))
    stub.answer = Refreshing(portal, problem(400, "invalid_grant"))
    assert command.done("logout").stderr == f"Logged out of {stub.url}.\n"


def test_no_answer_puts_a_token_into_a_log_in_that_no_header_can_carry(stub: Stub, command: Command) -> None:
    stub.answer = lambda request: as_json({**TOKENS, "access_token": "a\r\nX: y"})
    ended = command("login", "--portal", stub.url, "--email", "a@example.com", "--password-stdin", stdin="x")
    assert (ended.returncode, ended.stderr) == (4, f"Error: {NOT_KNOWN}\n")
    assert not command.logins.exists()
