"""Every call of the API that developers have is a command."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keyportal_client.cli.run import run
from tests.clients.calls import COMMANDS, every_call
from tests.clients.stub import A_KEY, ME, TOKENS, Received, Reply, Stub, as_json, serving

pytestmark = pytest.mark.once
SECRET = "kp_live_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"
LISTS: dict[str, Any] = {
    "usage": {"by": "day", "days": 30, "items": []},
    "events": {"items": [], "next": None},
    "scopes": {"items": []},
    "keys": {"items": [], "next": None},
    "me": ME,
}


def answer(request: Received) -> Reply:
    last = request.path.partition("?")[0].split("/")[-1]
    if request.method == "GET" and last in LISTS:
        return as_json(LISTS[last])
    if request.method == "DELETE":
        return Reply(204)
    if "tokens" in request.path:
        return as_json({**TOKENS, "expires_in": 60 if last == "refresh" else 1})
    return as_json({**A_KEY, "secret": SECRET})


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stub]:
    with serving(answer) as started:
        monkeypatch.setenv("KEYPORTAL_PORTAL", started.url)
        monkeypatch.setenv("KEYPORTAL_CONFIG_DIR", str(tmp_path))
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
        monkeypatch.delenv("KEYPORTAL_KEY", raising=False)
        yield started


def test_every_call_has_its_command() -> None:
    assert every_call() == set(COMMANDS)


@pytest.mark.usefixtures("capsys")
def test_every_command_makes_its_call(stub: Stub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct horse\n")
    for (method, route), arguments in COMMANDS.items():
        stub.received.clear()
        with (tmp_path / "password").open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            assert run(arguments) == 0
        made = [(request.method, request.path.partition("?")[0]) for request in stub.received]
        assert (method, f"/api/v1/{route.format('key_1')}") in made


def test_no_answer_is_shown_with_a_secret_that_was_not_asked_for(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even if a portal were to send one with every answer about a key."""
    monkeypatch.setenv("KEYPORTAL_KEY", SECRET)
    for arguments in COMMANDS.values():
        if arguments[0] == "keys" and arguments[1] not in ("create", "rotate"):
            run(arguments)
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err
    assert run(["keys", "rotate", "key_1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["secret"] == SECRET
