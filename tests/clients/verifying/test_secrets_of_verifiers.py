"""No secret leaves a verifier but to its portal: not in a log, an exception, its frames, a repr, or what is kept."""

import asyncio
import logging
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType

import pytest

import keyportal_client
from keyportal_client import AsyncVerifier, CredentialRefusedError, Verifier
from tests.clients.stub import Received, Reply, problem
from tests.clients.verifying.clock import Clock
from tests.clients.verifying.scripted import (
    CHANGES,
    SERVICE_KEY,
    USAGE,
    VERIFY,
    ScriptedPortal,
    clock,
    scripted,
    verifier,
    warm,
)
from tests.portal import ROOT
from tests.waiting import DEADLINE, wait_until

__all__ = ["clock", "scripted", "verifier"]

pytestmark = pytest.mark.once


def frames_of_the_client(caught: TracebackType | None) -> Iterator[dict[str, object]]:
    """Yield the variables of the client's own frames, as an error reporter collects them."""
    for frame, _ in traceback.walk_tb(caught):
        if "keyportal_client" in frame.f_code.co_filename:
            yield frame.f_locals


@pytest.mark.parametrize(
    "reply", [Reply(0), problem(503, "unavailable"), problem(401, "revoked"), Reply(200, b"nonsense")]
)
@pytest.mark.parametrize("method", ["verify", "authenticate"])
def test_what_is_raised_and_logged_has_no_secret(
    scripted: ScriptedPortal, verifier: Verifier, caplog: pytest.LogCaptureFixture, reply: Reply, method: str
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = scripted.new_key()
    scripted.everywhere(reply)
    with pytest.raises(CredentialRefusedError) as caught:
        getattr(verifier, method)(secret if method == "verify" else f"Bearer {secret}")
    error = caught.value
    assert (error.__cause__, error.__context__) == (None, None)
    frames = list(frames_of_the_client(error.__traceback__))
    assert len(frames) == 2
    shown = f"{frames} {error!r} {error} {vars(error)} {caplog.text} {[vars(record) for record in caplog.records]}"
    assert secret not in shown
    assert SERVICE_KEY not in shown
    assert caplog.records


def test_a_check_that_is_given_up_has_no_secret(scripted: ScriptedPortal) -> None:
    secret, go = scripted.new_key(), threading.Event()

    def hold(request: Received) -> Reply:
        go.wait(DEADLINE)
        return scripted(request)

    scripted.stub.answer = hold

    async def check() -> None:
        verifier = AsyncVerifier(scripted.url, key=SERVICE_KEY)
        checking = asyncio.create_task(verifier.authenticate(f"Bearer {secret}"))
        await asyncio.to_thread(wait_until, lambda: scripted.stub.received)
        checking.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await checking
        frames = list(frames_of_the_client(caught.value.__traceback__))
        assert len(frames) > 1
        assert secret not in str(frames)
        go.set()
        await verifier.close()

    asyncio.run(check())


def test_a_refusal_from_memory_has_no_secret(scripted: ScriptedPortal, verifier: Verifier) -> None:
    secret = scripted.new_key()
    verifier.verify(secret)
    warm(verifier)
    with pytest.raises(CredentialRefusedError) as caught:
        verifier.verify(secret, environment="test")
    assert secret not in f"{list(frames_of_the_client(caught.value.__traceback__))}{vars(caught.value)}"


def test_what_is_refused_at_once_has_no_secret(scripted: ScriptedPortal) -> None:
    secret = scripted.new_key()

    async def check() -> None:
        async with AsyncVerifier(scripted.url, key=SERVICE_KEY) as verifier:
            assert verifier.at_once(f"Bearer {secret}") is None
            await verifier.verify(secret)
            await asyncio.to_thread(warm, verifier)
            assert verifier.at_once(f"Bearer {secret}") is not None
            with pytest.raises(CredentialRefusedError) as elsewhere:
                verifier.at_once(f"Bearer {secret}", environment="test")
            with pytest.raises(CredentialRefusedError) as malformed:
                verifier.at_once(f"Bearer {secret} {secret}")
            with pytest.raises(ValueError, match="live, test") as mistaken:
                verifier.at_once(f"Bearer {secret}", environment="prod")
        for caught in (elsewhere, malformed, mistaken):
            frames = list(frames_of_the_client(caught.value.__traceback__))
            assert frames
            assert secret not in f"{frames}{vars(caught.value)}"

    asyncio.run(check())


@pytest.mark.parametrize("method", ["verify", "authenticate"])
@pytest.mark.parametrize(
    "mistake", [{"scopes": "one"}, {"scopes": [["one"]]}, {"environment": "prod"}, {"client_ip": 5}]
)
def test_a_mistake_of_the_service_shows_no_secret(
    scripted: ScriptedPortal, verifier: Verifier, method: str, mistake: dict[str, object]
) -> None:
    secret, in_loop = scripted.new_key(), AsyncVerifier(scripted.url, key=SERVICE_KEY)
    checks = (getattr(verifier, method), lambda text, **needed: asyncio.run(getattr(in_loop, method)(text, **needed)))
    for check in checks:
        with pytest.raises((TypeError, ValueError)) as caught:
            check(f"Bearer {secret}", **mistake)
        frames = list(frames_of_the_client(caught.value.__traceback__))
        assert frames
        assert secret not in f"{frames} {caught.value!r}"


def test_nothing_that_a_verifier_keeps_shows_a_secret(
    scripted: ScriptedPortal, verifier: Verifier, clock: Clock
) -> None:
    secret = scripted.new_key()
    verifier.verify(secret)
    warm(verifier)
    verifier.verify(secret)
    state = verifier._state
    kept = [verifier, vars(verifier), vars(state), state.verdicts, vars(state.verdicts), vars(state.line)]
    kept += [vars(state.verdicts.store), vars(state.verdicts.reports), vars(state.feed), vars(state.verdicts._flights)]
    shown = repr(kept)
    assert scripted.url in shown
    assert secret not in shown
    assert SERVICE_KEY not in shown


def test_the_key_is_sent_to_the_portal_alone_and_no_redirect_is_followed(
    scripted: ScriptedPortal, verifier: Verifier
) -> None:
    scripted.everywhere(Reply(307, b"", headers={"Location": f"{scripted.url}/elsewhere"}))
    with pytest.raises(CredentialRefusedError):
        verifier.verify(scripted.new_key())
    assert {request.path.partition("?")[0] for request in scripted.stub.received} <= {VERIFY, CHANGES, USAGE}


def test_the_command_starts_without_what_verifiers_need() -> None:
    unneeded = "{'jwt', 'keyportal_client.verifying'}"
    code = f"import sys, keyportal_client, keyportal_client.cli.root; print({unneeded} & set(sys.modules))"
    folder = ROOT / "clients/python"
    ended = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"


def test_what_the_package_has_is_imported_when_it_is_asked_for() -> None:
    assert {name for name in keyportal_client.__all__ if getattr(keyportal_client, name).__name__ != name} == set()
    with pytest.raises(AttributeError):
        _ = keyportal_client.Everything
