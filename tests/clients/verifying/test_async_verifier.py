"""The verifier of event loops: the same verdicts, and a loop that goes on meanwhile."""

import asyncio
import gc
import threading
import warnings

import pytest

from keyportal_client import AsyncVerifier, CredentialRefusedError, VerdictUnavailableError
from tests.clients.stub import Received, Reply
from tests.clients.verifying.clock import Clock
from tests.clients.verifying.samples import KEY, a_secret
from tests.clients.verifying.scripted import (
    REVOKED,
    SERVICE_KEY,
    VERIFY,
    ScriptedPortal,
    clock,
    has_heard,
    scripted,
    warm,
)
from tests.waiting import DEADLINE, wait_until

__all__ = ["clock", "scripted"]

pytestmark = pytest.mark.once


@pytest.fixture
def verifier(scripted: ScriptedPortal, clock: Clock) -> AsyncVerifier:
    return AsyncVerifier(scripted.url, key=SERVICE_KEY, service="reports", timeout=30.0)


def test_a_credential_is_asked_about_once_and_counted_once(scripted: ScriptedPortal, verifier: AsyncVerifier) -> None:
    secret = scripted.new_key()

    async def check() -> None:
        async with verifier:
            first = await verifier.verify(secret, client_ip="192.0.2.7")
            await asyncio.to_thread(warm, verifier)
            assert await verifier.authenticate(f"bearer {secret}", client_ip="192.0.2.7") == first
            with pytest.raises(CredentialRefusedError, match="insufficient_scope"):
                await verifier.authenticate(f"bearer {secret}", scopes=("more",))
            with pytest.raises(CredentialRefusedError, match="missing_credential"):
                await verifier.authenticate(None)

    asyncio.run(check())
    assert len(scripted.asked) == 1
    assert scripted.counted() == {"accepted": 1, "insufficient_scope": 1}


def test_every_event_loop_of_a_process_has_the_same_records(scripted: ScriptedPortal, verifier: AsyncVerifier) -> None:
    known, other = scripted.new_key(), scripted.new_key()
    with asyncio.Runner() as one, asyncio.Runner() as two:
        assert one.run(verifier.verify(known)).id == KEY
        warm(verifier)
        assert two.run(verifier.verify(known)).id == KEY
        assert two.run(verifier.verify(other)).id == KEY
        scripted.change(known, **REVOKED)
        has_heard(verifier, scripted)
        with pytest.raises(CredentialRefusedError, match="revoked"):
            one.run(verifier.verify(known))
        one.run(verifier.close())
        two.run(verifier.close())
    assert len(scripted.asked) == 3


def test_the_connections_of_loops_that_have_ended_are_let_go(scripted: ScriptedPortal, verifier: AsyncVerifier) -> None:
    """As of Django, which under WSGI has a loop for each request of an asynchronous view."""

    async def lines() -> int:
        await verifier.verify(scripted.new_key())
        lines = len(verifier._lines._lines)
        await verifier.close()
        return lines

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # what was a loop's can't be closed after it
        for _ in range(3):
            assert asyncio.run(verifier.verify(scripted.new_key())).id == KEY
        assert asyncio.run(lines()) == 1
        gc.collect()


def test_the_loop_goes_on_while_the_portal_is_asked_and_one_question_is_enough(
    scripted: ScriptedPortal, verifier: AsyncVerifier
) -> None:
    secret, go = scripted.new_key(), threading.Event()

    def hold(request: Received) -> Reply:
        if request.path == VERIFY:
            go.wait(DEADLINE)
        return scripted(request)

    scripted.stub.answer = hold

    async def check() -> None:
        tasks = [asyncio.create_task(verifier.verify(secret)) for _ in range(5)]
        await asyncio.to_thread(wait_until, lambda: any(each.path == VERIFY for each in scripted.stub.received))
        given_up = tasks.pop()
        given_up.cancel()
        go.set()
        assert {credential.id for credential in await asyncio.gather(*tasks)} == {KEY}
        await verifier.close()

    asyncio.run(check())
    assert len(scripted.asked) == 1


def test_who_gives_up_the_question_leaves_it_to_the_others(scripted: ScriptedPortal, verifier: AsyncVerifier) -> None:
    secret, go = scripted.new_key(), threading.Event()

    def hold_the_first(request: Received) -> Reply:
        if request.path == VERIFY and not go.is_set():
            go.wait(DEADLINE)
        return scripted(request)

    scripted.stub.answer = hold_the_first

    async def check() -> None:
        first = asyncio.create_task(verifier.verify(secret))
        await asyncio.to_thread(wait_until, lambda: any(each.path == VERIFY for each in scripted.stub.received))
        second = asyncio.create_task(verifier.verify(secret))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go.set()
        assert (await second).id == KEY
        await verifier.close()

    asyncio.run(check())


def test_a_portal_that_is_away_is_no_verdict(scripted: ScriptedPortal, verifier: AsyncVerifier, clock: Clock) -> None:
    scripted.instead[VERIFY] = Reply(0)

    async def check() -> None:
        for _ in range(3):
            with pytest.raises(VerdictUnavailableError):
                await verifier.verify(a_secret())
        del scripted.instead[VERIFY]
        clock.pass_by(1)
        assert (await verifier.verify(scripted.new_key())).id == KEY
        await verifier.close()

    asyncio.run(check())
    assert scripted.requests(VERIFY) == 2


def test_a_probe_that_is_given_up_lets_another_one_ask(
    scripted: ScriptedPortal, verifier: AsyncVerifier, clock: Clock
) -> None:
    secret, go = scripted.new_key(), threading.Event()

    def hold(request: Received) -> Reply:
        if request.path == VERIFY:
            go.wait(DEADLINE)
        return scripted(request)

    async def check() -> None:
        scripted.instead[VERIFY] = Reply(0)
        with pytest.raises(VerdictUnavailableError):
            await verifier.verify(secret)
        del scripted.instead[VERIFY]
        clock.pass_by(1)
        scripted.stub.answer = hold
        probe = asyncio.create_task(verifier.verify(secret))
        await asyncio.to_thread(wait_until, lambda: scripted.requests(VERIFY) == 2)
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        go.set()
        assert (await verifier.verify(secret)).id == KEY
        await verifier.close()

    asyncio.run(check())


def test_a_kept_connection_that_was_closed_is_made_anew(scripted: ScriptedPortal, verifier: AsyncVerifier) -> None:
    async def check() -> None:
        for _ in range(3):
            assert (await verifier.verify(scripted.new_key())).id == KEY
            scripted.stub.drop_connections()
        await verifier.close()

    asyncio.run(check())


def test_a_question_on_a_kept_connection_that_ends_is_asked_once_more(
    scripted: ScriptedPortal, verifier: AsyncVerifier
) -> None:
    closed = iter([Reply(0)])

    def close_once(request: Received) -> Reply:
        return next(closed, None) or scripted(request) if request.path == VERIFY else scripted(request)

    async def check() -> None:
        await verifier.verify(scripted.new_key())
        scripted.stub.answer = close_once
        assert (await verifier.verify(scripted.new_key())).id == KEY
        await verifier.close()

    asyncio.run(check())
    assert scripted.requests(VERIFY) == 3


def test_a_portal_that_never_ends_its_answer_is_given_up(
    scripted: ScriptedPortal, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    go = threading.Event()

    def hold(request: Received) -> Reply:
        if request.path == VERIFY:
            go.wait(DEADLINE)
        return scripted(request)

    scripted.stub.answer = hold
    verifier = AsyncVerifier(scripted.url, key=SERVICE_KEY, timeout=0.05)

    async def check() -> None:
        with pytest.raises(VerdictUnavailableError):
            await verifier.verify(scripted.new_key())
        await verifier.close()

    asyncio.run(check())
    go.set()
    assert "did not answer in time" in caplog.text
