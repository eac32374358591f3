"""A portal, or what claims to be one, that means harm: to the terminal, to files, to a proxy's password."""

from typing import Any

import pytest

from keyportal_client.cli.exit_status import ExitStatus
from keyportal_client.cli.run import run
from tests.clients.stub import A_KEY, A_SECRET, KEY, ME, Answer, Stub, as_json, stub

__all__ = ["stub"]

pytestmark = pytest.mark.once
HOSTILE = "x\x1b]0;owned\x07\r\nroot#"
CONTROLS = {"\x1b", "\x07", "\r"}


def as_page(item: dict[str, Any]) -> Answer:
    """Return what answers with a list of one item."""
    return lambda request: as_json({"items": [item], "next": None})


@pytest.mark.parametrize(
    "changed",
    [
        *({member: HOSTILE} for member in ("id", "environment", "state", "created_at", "expires_at", "owner")),
        {"secret": HOSTILE},
        {"secret": "rm -rf ~"},
        {"secret": f"{KEY}\n{KEY}"},
        {"secrets": [{**A_SECRET, "retires_at": HOSTILE}]},
    ],
    ids=str,
)
def test_what_is_not_as_it_should_be_is_not_shown(
    stub: Stub, capsys: pytest.CaptureFixture[str], changed: dict[str, Any]
) -> None:
    stub.answer = lambda request: as_json({**A_KEY, "secret": KEY, **changed}, 201)
    for command in (["create", "--name", "x"], ["rotate", "key_1"]):
        assert run(["keys", *command]) == ExitStatus.UNREACHABLE
        shown = capsys.readouterr()
        assert "The portal's answer is not what this client knows." in shown.err
        assert shown.out == ""
        assert not CONTROLS & set(shown.err)


@pytest.mark.parametrize("member", ["id", "kind", "environment", "owner", "client_id", "expires_at"])
def test_nor_is_what_is_said_of_a_credential(stub: Stub, capsys: pytest.CaptureFixture[str], member: str) -> None:
    stub.answer = lambda request: as_json({**ME, member: HOSTILE})
    assert run(["whoami"]) == ExitStatus.UNREACHABLE
    shown = capsys.readouterr()
    assert (shown.out, CONTROLS & set(shown.err)) == ("", set())


def test_texts_of_people_are_inert(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    texts = dict.fromkeys(("name", "paused_reason", "revoked_reason", "rate_limit"), HOSTILE)
    lists = {member: [HOSTILE] for member in ("scopes", "networks")}
    key = {**A_KEY, **texts, **lists, "state": "paused", "secrets": [{**A_SECRET, "hint": HOSTILE}], "secret": KEY}
    stub.answer = lambda request: as_json(key)
    for command in (["create", "--name", "x"], ["rotate", "key_1"], ["show", "key_1"], ["pause", "key_1"]):
        assert run(["keys", *command]) == 0
        shown = capsys.readouterr()
        assert not CONTROLS & set(shown.out + shown.err)


@pytest.mark.parametrize(
    "proxy",
    ["https://me:pass@proxy.example:3128", "socks5://me:pass@proxy.example", "http://me:pass@x:99999", "http://"],
)
def test_a_proxy_that_can_not_be_used_is_not_tried_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], proxy: str
) -> None:
    monkeypatch.setenv("KEYPORTAL_PORTAL", "https://keys.example.com")
    monkeypatch.setenv("KEYPORTAL_KEY", KEY)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert run(["keys", "list"]) == ExitStatus.UNREACHABLE
    said = capsys.readouterr().err
    assert said == "Error: HTTPS_PROXY names no proxy that can be used. Write http://host:port.\n"


def test_the_details_of_an_event_are_inert_and_of_any_form(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    event = {"id": 1, "at": "2026-01-01T00:00:00Z", "title": "x", "by": "by you", "address": None}
    for kind, details in (
        ("key_edited", {"changed": [HOSTILE, 5], "widened": HOSTILE}),
        ("key_paused", {"until": HOSTILE, "reason": f"{HOSTILE} {KEY}"}),
        ("key_rotated", {"retires_at": 5, "overlap": {}, "reason": [HOSTILE]}),
        ("key_limited", {"limit": None}),
    ):
        stub.answer = as_page({**event, "type": kind, "details": details})
        assert run(["keys", "events", "key_1"]) == 0
        shown = capsys.readouterr().out
        assert len(shown.splitlines()) == 2
        assert not CONTROLS & set(shown)
        assert KEY not in shown


def test_an_event_without_an_address_is_shown(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """As those are that operators made."""
    event = {"id": 1, "at": "2026-01-01T00:00:00Z", "type": "key_paused", "title": "Key paused", "by": "by an operator"}
    stub.answer = as_page({**event, "address": None, "details": {}})
    assert run(["keys", "events", "key_1"]) == 0
    assert "an operator" in capsys.readouterr().out


def test_what_a_refusal_points_at_is_inert(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    errors = [{"pointer": pointer, "detail": HOSTILE} for pointer in ("/scopes/0", f"/scopes/{HOSTILE}", f"/{HOSTILE}")]
    problem = {"title": HOSTILE, "detail": HOSTILE, "code": "validation", "errors": errors}
    stub.answer = lambda request: as_json(problem, 400)
    assert run(["keys", "create", "--name", "x", "--scope", "a:b"]) == ExitStatus.REFUSED
    shown = capsys.readouterr().err
    assert "--scope a:b" in shown
    assert not CONTROLS & set(shown)
