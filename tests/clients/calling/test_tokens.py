"""Access tokens of clients: fetched once for all, in time, and kept where the next process finds them."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from keyportal_client.calling import BearerAuth, ClientCredentials, LoginTokens, TokenFile
from keyportal_client.calling.renewing import AccessToken, RenewedCredential
from keyportal_client.errors import (
    KeyportalError,
    NotAuthenticatedError,
    NotLoggedInError,
    RefusedError,
    UnavailableError,
    UnexpectedAnswerError,
)
from tests.clients.calling.ways import WAYS, Way
from tests.clients.stub import KEY, ME, Received, Reply, Stub, as_json, problem, serving
from tests.clients.verifying.clock import Clock
from tests.portal import ROOT
from tests.waiting import DEADLINE

pytestmark = pytest.mark.once
EXPIRED = problem(401, "expired", WWW_Authenticate='Bearer realm="x", error="invalid_token"')


class Tokens:
    """A portal that gives out numbered tokens, and an API that takes the newest from a number on."""

    def __init__(self) -> None:
        self.number = 0
        self.good_from = 1
        self.refuses: Reply | None = None

    def __call__(self, request: Received) -> Reply:
        if request.path == "/api/v1/me":
            return as_json({**ME, "client_id": "key_1"})
        if request.path in ("/oauth/token", "/api/v1/tokens", "/api/v1/tokens/refresh"):
            return Reply(204) if request.method == "DELETE" else self.refuses or self.next()
        number = int(request.headers["Authorization"].rpartition("-")[2])
        return as_json({}) if number >= self.good_from else EXPIRED

    def next(self) -> Reply:
        self.number += 1
        pair = {"access_token": f"access-{self.number}", "refresh_token": f"refresh-{self.number}"}
        return as_json({**pair, "expires_in": 600, "scope": "", "token_type": "Bearer"})


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def stub(tokens: Tokens) -> Iterator[Stub]:
    """Portal and API in one."""
    with serving(tokens) as started:
        yield started


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


def paths(stub: Stub) -> list[str]:
    return [request.path for request in stub.received]


def test_a_key_is_exchanged_once_and_goes_to_the_portal_alone(stub: Stub, way: Way) -> None:
    credential = ClientCredentials(stub.url, KEY, scopes=["reports:read"], service="https://reports.example.com")
    for _ in range(2):
        assert way(stub.url, "GET", f"{stub.url}/reports", credential=credential).status == 200
    assert paths(stub) == ["/api/v1/me", "/oauth/token", "/reports", "/reports"]
    [_, exchange, *calls] = stub.received
    assert exchange.headers["Authorization"] == f"Basic {base64.b64encode(f'key_1:{KEY}'.encode()).decode()}"
    assert parse_qs(exchange.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["reports:read"],
        "resource": ["https://reports.example.com"],
    }
    assert {call.headers["Authorization"] for call in calls} == {"Bearer access-1"}


def test_a_token_that_an_api_refuses_is_renewed_once(stub: Stub, tokens: Tokens, way: Way) -> None:
    credential = Aged(stub.url, KEY)
    assert way(stub.url, "GET", f"{stub.url}/reports", credential=credential).status == 200
    tokens.good_from = 2
    credential.pass_by(60)
    stub.received.clear()
    assert way(stub.url, "GET", f"{stub.url}/reports", credential=credential).status == 200
    assert paths(stub) == ["/reports", "/oauth/token", "/reports"]
    tokens.good_from = 9
    credential.pass_by(60)
    stub.received.clear()
    for _ in range(2):
        assert way(stub.url, "GET", f"{stub.url}/reports", credential=credential).status == 401
    assert paths(stub) == ["/reports", "/oauth/token", "/reports", "/reports"]


class Aged(ClientCredentials):
    """The same with a clock that a test moves."""

    def __init__(self, portal: str, key: str) -> None:
        super().__init__(portal, key)
        self._now = Clock()

    def pass_by(self, seconds: float) -> None:
        assert isinstance(self._now, Clock)
        self._now.pass_by(seconds)


def test_a_token_is_renewed_before_it_ends_or_used_to_its_end(stub: Stub, tokens: Tokens) -> None:
    credential = Aged(stub.url, KEY)
    assert credential.current() == "access-1"
    credential.pass_by(569)
    assert credential.current() == "access-1"
    credential.pass_by(2)
    tokens.refuses = problem(503, "unavailable", Retry_After="1")
    asked = len(stub.received)
    assert [credential.current() for _ in range(3)] == ["access-1"] * 3
    assert len(stub.received) == asked + 1
    credential.pass_by(6)
    tokens.refuses = None
    assert credential.current() == "access-2"
    credential.pass_by(600)
    tokens.refuses = problem(503, "unavailable", Retry_After="1")
    with pytest.raises(UnavailableError):
        credential.current()


class Slow(RenewedCredential):
    """A credential whose fetching a test lets go on."""

    identity = "slow"

    def __init__(self) -> None:
        super().__init__()
        self.fetched = 0
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.error: Exception | None = None

    def fetch(self) -> AccessToken:
        self.fetched += 1
        self.begun.set()
        self.let_go.wait()
        if self.error:
            raise self.error
        return AccessToken(f"access-{self.fetched}", 600)


def test_threads_and_tasks_fetch_one_token_together() -> None:
    slow = Slow()

    async def of_tasks() -> list[str]:
        waiting = [asyncio.create_task(slow.current_async()) for _ in range(20)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        slow.let_go.set()
        return await asyncio.gather(*waiting[1:])

    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(slow.current) for _ in range(20)]
        slow.begun.wait()
        found = asyncio.run(of_tasks()) + [each.result() for each in waiting]
    assert (set(found), slow.fetched) == ({"access-1"}, 1)


def test_a_token_is_fetched_although_all_threads_of_the_loop_wait_for_it() -> None:
    slow = Slow()

    async def ask() -> tuple[str, str]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        task = asyncio.create_task(slow.current_async())
        await asyncio.sleep(0)
        thread = asyncio.create_task(asyncio.to_thread(slow.current))
        await asyncio.sleep(0)
        slow.let_go.set()
        return await asyncio.wait_for(asyncio.gather(thread, task), DEADLINE)

    assert set(asyncio.run(ask())) == {"access-1"}


def test_a_child_does_not_wait_for_what_its_parent_fetches(stub: Stub) -> None:
    """It has no thread that would."""
    program = [sys.executable, str(Path(__file__).with_name("forking.py")), stub.url, KEY]
    path = {**os.environ, "PYTHONPATH": str(ROOT / "clients/python")}
    ended = subprocess.run(program, capture_output=True, text=True, timeout=DEADLINE, env=path, check=False)
    assert (ended.returncode, ended.stdout) == (0, "child access\n"), ended.stderr


def test_who_waits_is_told_why_there_is_none_and_the_next_tries_again() -> None:
    slow = Slow()
    slow.error = NotLoggedInError("You are not logged in.")
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(slow.current) for _ in range(2)]
        slow.begun.wait()
        slow.let_go.set()
        for each in waiting:
            with pytest.raises(NotLoggedInError):
                each.result()
    slow.error = None
    assert slow.current().startswith("access-")


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (
            as_json({"error": "invalid_client", "error_description": "This key is paused"}, 401),
            NotAuthenticatedError,
            "This key is paused",
        ),
        (as_json({"error": "invalid_scope", "error_description": "\x1b[2J"}, 400), RefusedError, "invalid_scope"),
        (as_json({"error": "\x1b[2J"}, 400), UnexpectedAnswerError, "not a portal"),
        (Reply(200, b"<html>", "text/html"), UnexpectedAnswerError, "not a portal"),
        (as_json({"access_token": "a\nb", "expires_in": 9}), UnexpectedAnswerError, "too old"),
        (Reply(502), UnavailableError, "not available"),
    ],
)
def test_why_there_is_no_token(
    stub: Stub, tokens: Tokens, reply: Reply, error: type[KeyportalError], said: str
) -> None:
    tokens.refuses = reply
    with pytest.raises(error, match=said) as caught:
        ClientCredentials(stub.url, KEY).current()
    assert KEY not in repr(caught.value)
    auth = BearerAuth(stub.url, credential=ClientCredentials(stub.url, KEY))
    with httpx.Client(auth=auth, trust_env=False) as client, pytest.raises(error):
        client.get(f"{stub.url}/reports")


def test_a_log_in_is_refreshed_and_found_by_the_next_process(stub: Stub, tokens: Tokens, tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "new/login.json")
    login = LoginTokens(stub.url, file)
    with pytest.raises(NotLoggedInError):
        login.current()
    login.log_in("a@example.com", "secret", scopes=["reports:read"])
    assert json.loads(stub.received[-1].body) == {"scope": "reports:read"}
    assert (tmp_path / "new/login.json").stat().st_mode & 0o777 == 0o600
    assert login.current() == LoginTokens(stub.url, file).current() == "access-1"
    end(file)
    (tmp_path / "new/login.json").chmod(0o644)
    assert LoginTokens(stub.url, file).current() == "access-2"
    assert (tmp_path / "new/login.json").stat().st_mode & 0o777 == 0o600
    assert json.loads(stub.received[-1].body) == {"refresh_token": "refresh-1"}
    assert (login.renewed("access-1"), tokens.number) == (None, 2)  # it is young
    assert LoginTokens(stub.url, file).current() == "access-2"
    login.log_out()
    assert stub.received[-1].headers["Authorization"] == "Bearer access-2"
    assert not (tmp_path / "new/login.json").exists()


def end(file: TokenFile) -> None:
    """Have the access token in a file be over."""
    held = file.load()
    assert held is not None
    file.save(held._replace(good_until=0))


def test_tokens_that_came_from_elsewhere_are_gone_on_with(stub: Stub) -> None:
    login = LoginTokens(stub.url)
    login.adopt(access_token="access-0", refresh_token="refresh-0", expires_in=60)
    assert (login.current(), stub.received) == ("access-0", [])
    login.adopt(access_token="access-0", refresh_token="refresh-0", expires_in=0)
    assert login.current() == "access-1"
    assert json.loads(stub.received[-1].body) == {"refresh_token": "refresh-0"}


def test_a_token_that_another_process_refreshed_is_used(stub: Stub, tokens: Tokens, tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "login.json")
    mine, others = LoginTokens(stub.url, file), LoginTokens(stub.url, file)
    mine.log_in("a@example.com", "secret")
    assert mine.current() == others.current() == "access-1"
    end(file)
    others.forget()
    assert others.current() == "access-2"
    mine.forget()
    assert (mine.current(), tokens.number) == ("access-2", 2)


def test_a_log_in_that_has_ended_is_forgotten(stub: Stub, tokens: Tokens, tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "login.json")
    LoginTokens(stub.url, file).log_in("a@example.com", "secret")
    end(file)
    tokens.refuses = problem(503, "unavailable")
    with pytest.raises(UnavailableError):
        LoginTokens(stub.url, file).current()
    assert file.load() is not None
    tokens.refuses = problem(400, "invalid_grant")
    with pytest.raises(NotLoggedInError, match="ended"):
        LoginTokens(stub.url, file).current()
    assert file.load() is None


def test_tokens_go_to_their_own_portal_alone(stub: Stub, tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "login.json")
    LoginTokens(stub.url, file).log_in("a@example.com", "secret")
    with serving(Tokens()) as other:
        elsewhere = LoginTokens(other.url, file)
        with pytest.raises(NotLoggedInError):
            elsewhere.current()
        elsewhere.log_out()
        assert other.received == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", json.dumps({"portal": "x", "access_token": "a\nb", "refresh_token": "c", "good_until": 9}), "x"],
    ids=str,
)
def test_a_damaged_file_is_said_to_be_one(stub: Stub, tmp_path: Path, text: str) -> None:
    (tmp_path / "login.json").write_text(text)
    with pytest.raises(NotLoggedInError, match="damaged"):
        LoginTokens(stub.url, TokenFile(tmp_path / "login.json")).current()


def test_tokens_are_not_shown(stub: Stub, tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "login.json")
    login: Any = LoginTokens(stub.url, file)
    login.log_in("a@example.com", "secret")
    for shown in (repr(login), repr(file), repr(file.load()), repr(login.fetch())):
        assert "access-" not in shown
        assert "refresh-" not in shown
