"""A verifier over real connections: asked once, judged from memory, told of changes, honest when it can't know."""

import gc
import socket

import pytest

from keyportal_client import CredentialRefusedError, VerdictUnavailableError, Verifier
from keyportal_client.errors import AddressError, ConfigurationError, CredentialError
from keyportal_client.refusals import Refusal
from tests.clients.stub import Received, Reply, as_json, problem
from tests.clients.verifying.clock import Clock
from tests.clients.verifying.samples import KEY, a_secret
from tests.clients.verifying.scripted import (
    CHANGES,
    REVOKED,
    SERVICE_KEY,
    USAGE,
    VERIFY,
    ScriptedPortal,
    clock,
    has_heard,
    scripted,
    verifier,
    warm,
)
from tests.waiting import wait_until

__all__ = ["clock", "scripted", "verifier"]

pytestmark = pytest.mark.once


def refusal(verifier: Verifier, text: str, **needed: object) -> Refusal:
    with pytest.raises(CredentialRefusedError) as caught:
        verifier.verify(text, **needed)  # type: ignore[arg-type]
    return caught.value.refusal


def test_a_credential_is_asked_about_once_and_counted_once(scripted: ScriptedPortal, verifier: Verifier) -> None:
    secret = scripted.new_key()
    needed = {"scopes": ("reports:read",), "environment": "live", "client_ip": "192.0.2.7"}
    first = verifier.verify(secret, **needed)  # type: ignore[arg-type]
    assert scripted.asked == [{"credential": secret, **needed, "scopes": ["reports:read"], "record": True}]
    warm(verifier)
    for _ in range(3):
        assert verifier.authenticate(f"Bearer {secret}", scopes=("reports:read",), client_ip="192.0.2.7") == first
    verifier.close()
    assert (first.id, len(scripted.asked), scripted.counted()) == (KEY, 1, {"accepted": 3})
    [[calls]] = scripted.batches.values()
    assert (calls["entry_point"], calls["addresses"]) == ("reports", ["192.0.2.7"])


def test_a_revoked_key_is_refused_as_soon_as_the_feed_has_told_of_it(
    scripted: ScriptedPortal, verifier: Verifier
) -> None:
    secret = scripted.new_key()
    verifier.verify(secret)
    warm(verifier)
    scripted.change(secret, **REVOKED)
    has_heard(verifier, scripted)
    assert refusal(verifier, secret).code == "revoked"
    again = refusal(verifier, secret)
    assert (again.code, again.about["reason"], len(scripted.asked)) == ("revoked", "lost", 2)
    verifier.close()
    assert scripted.counted() == {"revoked": 1}


@pytest.mark.parametrize(
    ("expires_at", "is_announced"), [("2026-03-31T10:59:00Z", True), ("2026-03-31T11:01:00Z", False)]
)
def test_from_memory_too_the_end_of_a_key_is_announced_for_thirty_days(
    scripted: ScriptedPortal, verifier: Verifier, expires_at: str, is_announced: bool
) -> None:
    secret = scripted.new_key(expires_at=expires_at)
    announced = {"X-Keyportal-Expires": expires_at} if is_announced else {}
    assert verifier.verify(secret).headers == announced
    warm(verifier)
    assert verifier.verify(secret).headers == announced
    assert len(scripted.asked) == 1


def test_what_a_request_lacks_is_judged_from_memory(scripted: ScriptedPortal, verifier: Verifier) -> None:
    secret = scripted.new_key(networks=["192.0.2.0/24"])
    verifier.verify(secret, client_ip="192.0.2.7")
    warm(verifier)
    assert refusal(verifier, secret, environment="test").status == 403
    assert refusal(verifier, secret, client_ip="198.51.100.1").about["address"] == "198.51.100.1"
    lacking = refusal(verifier, secret, client_ip="192.0.2.8", scopes=("more",))
    assert 'error="insufficient_scope"' in lacking.challenge()
    assert 'scope="more"' in lacking.challenge()
    verifier.close()
    assert scripted.counted() == dict.fromkeys(("wrong_environment", "network_refused", "insufficient_scope"), 1)


def test_the_portal_judges_what_it_is_asked(scripted: ScriptedPortal, verifier: Verifier) -> None:
    scripted.instead[VERIFY] = as_json(
        {
            "valid": False,
            "code": "rate_limited",
            "about": {"title": "Too many", "key": KEY, "retry_after": 7},
            "record": None,
            "cursor": None,
            "now": "2026-03-01T11:00:00Z",
        }
    )
    found = refusal(verifier, a_secret())
    assert (found.status, found.retry_after, found.is_verdict, found.about) == (429, 7, True, {"key": KEY})


@pytest.mark.parametrize("text", ["", "nonsense", a_secret()[:-1], "a.b", "kp_refresh_" + a_secret()[8:], "é.b.c"])
def test_what_can_be_no_credential_is_refused_without_a_call(
    scripted: ScriptedPortal, verifier: Verifier, text: str
) -> None:
    assert refusal(verifier, text) == Refusal("invalid_token")
    assert scripted.asked == []


@pytest.mark.parametrize(
    ("header", "code", "status"),
    [(None, "missing_credential", 401), ("Basic abc", "missing_credential", 401), ("Bearer", "malformed_request", 400)],
)
def test_a_header_without_a_credential_is_refused_without_a_call(
    scripted: ScriptedPortal, verifier: Verifier, header: str | None, code: str, status: int
) -> None:
    with pytest.raises(CredentialRefusedError) as caught:
        verifier.authenticate(header)
    assert (caught.value.refusal.code, caught.value.refusal.status) == (code, status)
    assert scripted.stub.received == []


def test_a_credential_whose_calls_the_portal_counts_is_asked_about_each_time(
    scripted: ScriptedPortal, verifier: Verifier
) -> None:
    secret = scripted.new_key(asks_each_time=True)
    verifier.verify(secret)
    warm(verifier)
    verifier.verify(secret)
    verifier.close()
    assert (len(scripted.asked), scripted.batches) == (2, {})


def test_without_the_feed_every_request_is_asked_about(
    scripted: ScriptedPortal, verifier: Verifier, clock: Clock
) -> None:
    secret = scripted.new_key()
    verifier.verify(secret)
    warm(verifier)
    scripted.instead[CHANGES] = problem(503, "unavailable")
    wait_for_polls(scripted, 2)
    clock.pass_by(2)
    verifier.verify(secret)
    verifier.verify(secret)
    assert len(scripted.asked) == 3
    del scripted.instead[CHANGES]
    warm(verifier)
    verifier.verify(secret)
    assert len(scripted.asked) == 3


def wait_for_polls(scripted: ScriptedPortal, amount: int) -> None:
    """Wait for so many polls more."""
    wanted = scripted.polls() + amount
    wait_until(lambda: scripted.polls() >= wanted)


AWAY = [
    Reply(0),
    problem(503, "unavailable", Retry_After="1"),
    problem(500, "server_error"),
    problem(429, "rate_limited", Retry_After="1"),
    problem(401, "revoked"),
    problem(403, "insufficient_scope"),
    problem(400, "validation"),
    Reply(502, b"<h1>Bad gateway</h1>", "text/html"),
    Reply(200, b"<h1>Welcome</h1>", "text/html"),
    Reply(302, b"", headers={"Location": "https://elsewhere.example"}),
    Reply(401, b"", headers={"WWW-Authenticate": "Basic"}),
    as_json({}),
    as_json([]),
    as_json({"valid": True, "now": "x"}),
    as_json({"valid": False, "code": "unavailable", "about": {}, "now": "2026-03-01T11:00:00Z"}),
    Reply(200, b'{"valid": ' + b"[" * 100_000, "application/json"),
    Reply(200, b"x" * (1024 * 1024 + 1), "application/json"),
]


@pytest.mark.sweep
@pytest.mark.parametrize("reply", AWAY, ids=lambda reply: f"{reply.status}-{reply.body[:24]!r}")
def test_whatever_the_portal_says_it_is_no_verdict_unless_it_is_one(
    scripted: ScriptedPortal, verifier: Verifier, reply: Reply
) -> None:
    secret = scripted.new_key()
    scripted.everywhere(reply)
    gc.collect()  # what other tests have left can't be finalized where one of these answers ends the stack
    with pytest.raises(VerdictUnavailableError) as caught:
        verifier.verify(secret)
    found = caught.value.refusal
    assert (found.status, found.is_verdict, found.retry_after > 0, found.challenge()) == (503, False, True, "")
    assert "Retry-After" in found.response_headers()


def test_a_portal_that_is_not_there_is_asked_once_a_second_and_recovers_by_itself(
    scripted: ScriptedPortal, verifier: Verifier, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    secret = scripted.new_key()
    scripted.instead[VERIFY] = Reply(0)
    for _ in range(5):
        assert refusal(verifier, secret).code == "unavailable"
    assert scripted.requests(VERIFY) == 1
    del scripted.instead[VERIFY]
    assert refusal(verifier, secret).code == "unavailable"
    clock.pass_by(1)
    assert verifier.verify(secret).id == KEY
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    clock.pass_by(5)
    wait_until(lambda: len(caplog.records) > 1)
    assert "keyportal: all is well again" in caplog.records[1].getMessage()


def test_a_portal_that_hangs_is_one_fault_for_questions_and_polls(
    caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with Verifier(f"http://127.0.0.1:{listener.getsockname()[1]}", key=SERVICE_KEY, timeout=0.2) as hanging:
            assert refusal(hanging, a_secret()).code == "unavailable"
            feed = hanging._state.feed
            wait_until(lambda: feed._failures > 1)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "did not answer in time" in caplog.text


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_portal_that_leads_elsewhere_is_said_to(
    scripted: ScriptedPortal, verifier: Verifier, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    scripted.everywhere(Reply(status, b"", headers={"Location": "https://elsewhere.example/"}))
    assert refusal(verifier, scripted.new_key()).code == "unavailable"
    assert f"leads to another one (status {status})" in caplog.text
    assert "elsewhere" not in caplog.text


def test_a_service_key_that_is_refused_says_so_and_heals_when_it_is_made_good(
    scripted: ScriptedPortal, verifier: Verifier, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    secret = scripted.new_key()
    scripted.service_key = "another"
    assert refusal(verifier, secret).code == "unavailable"
    assert refusal(verifier, secret).code == "unavailable"
    assert scripted.requests(VERIFY) == 1
    wait_for_polls(scripted, 1)
    scripted.service_key = SERVICE_KEY
    clock.pass_by(1)
    assert verifier.verify(secret).id == KEY
    warm(verifier)
    [fault] = {record.getMessage() for record in caplog.records}
    assert "invalid_token" in fault
    assert "credentials:verify" in fault


def test_a_limit_of_unknown_credentials_stops_no_known_one(scripted: ScriptedPortal, verifier: Verifier) -> None:
    scripted.instead[VERIFY] = problem(429, "rate_limited", Retry_After="59")
    assert refusal(verifier, a_secret()).retry_after == 59
    del scripted.instead[VERIFY]
    assert verifier.verify(scripted.new_key()).id == KEY


def test_a_kept_connection_that_was_closed_is_made_anew(
    scripted: ScriptedPortal, verifier: Verifier, caplog: pytest.LogCaptureFixture
) -> None:
    verifier.verify(scripted.new_key())
    for _ in range(3):
        wait_for_polls(scripted, 3)  # so that the last one is not the first of its connection
        scripted.stub.drop_connections()
        verifier.verify(scripted.new_key())
    wait_for_polls(scripted, 1)
    assert caplog.records == []


def test_a_question_on_a_kept_connection_that_ends_is_asked_once_more(
    scripted: ScriptedPortal, verifier: Verifier
) -> None:
    verifier.verify(scripted.new_key())
    closed = iter([Reply(0)])

    def close_once(request: Received) -> Reply:
        return next(closed, None) or scripted(request) if request.path == VERIFY else scripted(request)

    scripted.stub.answer = close_once
    assert verifier.verify(scripted.new_key()).id == KEY
    assert scripted.requests(VERIFY) == 3


def test_connections_are_kept(scripted: ScriptedPortal, verifier: Verifier) -> None:
    for _ in range(5):
        verifier.verify(scripted.new_key())
    wait_for_polls(scripted, 3)
    assert len(scripted.stub.connections) == 2  # one to ask, one to poll


def test_a_batch_that_was_not_answered_is_sent_again_as_it_was(
    scripted: ScriptedPortal, verifier: Verifier, clock: Clock
) -> None:
    secret = scripted.new_key()
    verifier.verify(secret)
    warm(verifier)
    scripted.instead[USAGE] = Reply(0)
    verifier.verify(secret)
    clock.pass_by(6)
    wait_until(lambda: USAGE in [request.path for request in scripted.stub.received])
    del scripted.instead[USAGE]
    wait_for_polls(scripted, 2)
    clock.pass_by(6)
    wait_until(scripted.counted)
    sent = {request.body for request in scripted.stub.received if request.path == USAGE}
    assert (scripted.counted(), len(sent)) == ({"accepted": 1}, 1)


def test_a_closed_verifier_starts_anew(scripted: ScriptedPortal, verifier: Verifier) -> None:
    secret = scripted.new_key()
    verifier.verify(secret)
    verifier.close()
    verifier.close()
    verifier.verify(secret)
    warm(verifier)
    verifier.verify(secret)
    assert len(scripted.asked) == 2


def test_a_verifier_that_nobody_has_any_more_sends_its_counts_and_ends(scripted: ScriptedPortal, clock: Clock) -> None:
    verifier = Verifier(scripted.url, key=SERVICE_KEY, timeout=30.0)
    secret = scripted.new_key()
    verifier.verify(secret)
    warm(verifier)
    verifier.verify(secret)
    thread = verifier._state.feed._thread
    del verifier
    assert thread is not None
    wait_until(lambda: not thread.is_alive())
    assert scripted.counted() == {"accepted": 1}


def test_the_portal_and_the_key_are_those_of_the_environment(
    scripted: ScriptedPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYPORTAL_PORTAL", scripted.url)
    monkeypatch.setenv("KEYPORTAL_KEY", f"{SERVICE_KEY}\n")
    with Verifier() as verifier:
        assert verifier.portal == scripted.url
        assert verifier.verify(scripted.new_key()).id == KEY


@pytest.mark.parametrize(
    ("address", "more", "error"),
    [
        (None, {"key": "k"}, ConfigurationError),
        ("https://keys.example.com", {}, ConfigurationError),
        ("https://keys.example.com", {"key": ""}, ConfigurationError),
        ("https://keys.example.com", {"key": "two\nlines"}, CredentialError),
        ("https://keys.example.com", {"key": f'"{SERVICE_KEY}"'}, CredentialError),
        ("http://keys.example.com", {"key": "k"}, AddressError),
        ("https://keys.example.com", {"key": "k", "service": "My Service"}, ConfigurationError),
        ("https://keys.example.com", {"key": "k", "timeout": 0}, ConfigurationError),
    ],
)
def test_a_verifier_that_can_not_work_is_not_made(
    monkeypatch: pytest.MonkeyPatch, address: str | None, more: dict[str, object], error: type[Exception]
) -> None:
    for name in ("KEYPORTAL_PORTAL", "KEYPORTAL_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(error):
        Verifier(address, **more)  # type: ignore[arg-type]
