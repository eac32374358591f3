"""What the command says if the portal refuses: one thing once, in the words of the command line."""

import json
from typing import Any

import pytest

from keyportal_client.cli.exit_status import ExitStatus
from keyportal_client.cli.run import run
from tests.clients.stub import A_KEY, Received, Reply, Stub, as_json, stub

__all__ = ["stub"]

pytestmark = pytest.mark.once


def refusal(status: int, code: str, title: str, detail: str = "", *errors: tuple[str, str], **headers: str) -> Reply:
    """Return a problem as the portal sends it."""
    faults = [{"pointer": pointer, "detail": said} for pointer, said in errors]
    return as_json({"title": title, "detail": detail, "code": code, "errors": faults}, status, **headers)


def said(
    stub: Stub,
    capsys: pytest.CaptureFixture[str],
    reply: Reply,
    *arguments: str,
    status: ExitStatus = ExitStatus.REFUSED,
) -> str:
    """Return what the command says of a call that changes something and is refused."""
    stub.answer = lambda request: as_json({**A_KEY, "scopes": ["m"]}) if request.method == "GET" else reply
    assert run(["keys", *arguments]) == status
    return capsys.readouterr().err.removeprefix("Error: ").removesuffix("\n")


@pytest.mark.parametrize(
    ("code", "title", "detail", "whole"),
    [
        ("key_ended", "This key has ended", "This key is revoked. Create another one.", True),
        ("rotating", "This key is being rotated", "A rotation of this key is under way. End its overlap first.", True),
        ("limit_reached", "There are too many keys", "You have 50 keys. Revoke one first.", True),
        ("answer_destroyed", "The answer is gone", "This call was carried out before.", True),
        ("permission_denied", "This is not allowed", "Contact this portal's operators.", False),
        ("rotating", "This key is being rotated", "", False),
    ],
)
def test_a_detail_that_says_it_all_stands_alone(
    stub: Stub, capsys: pytest.CaptureFixture[str], code: str, title: str, detail: str, whole: bool
) -> None:
    shown = said(stub, capsys, refusal(409, code, title, detail), "resume", "key_1")
    assert shown == (detail if whole else f"{title}. {detail}".strip())


def test_why_nothing_is_issued_is_said_in_the_operators_words(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    detail = "This portal issues no new credentials at the moment. We look into a leak."
    answer = refusal(503, "issuing_suspended", "This portal issues no new credentials at the moment", detail)
    assert said(stub, capsys, answer, "resume", "key_1", status=ExitStatus.UNREACHABLE) == detail


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("changed_meanwhile", "This key was changed or revoked in the meantime. Look at it"),
        ("idempotency_mismatch", "This --idempotency-key was sent with another command before."),
        ("not_found", "There is no key with this id, or it isn't yours."),
    ],
)
def test_what_the_portal_says_of_http_is_said_of_the_command(
    stub: Stub, capsys: pytest.CaptureFixture[str], code: str, words: str
) -> None:
    shown = said(stub, capsys, refusal(409, code, "Title", "Send the ETag."), "resume", "key_1")
    assert shown.startswith(words)
    assert "ETag" not in shown


NUMBERED = "Not in the catalogue: number {} of these scopes."


@pytest.mark.parametrize(
    ("arguments", "places", "words"),
    [
        (("edit", "key_1", "--add-scope", "z", "--add-scope", "a"), "1", "--add-scope: a is not in"),
        (("edit", "key_1", "--add-scope", "z", "--remove-scope", "m"), "1", "--add-scope: z is not in"),
        (("edit", "key_1", "--add-scope", "z"), "1 and 2", "--add-scope: m and z are not in"),
        (("edit", "key_1", "--scope", "z", "--scope", "a"), "1 and 2", "--scope: z and a are not in"),
        (("create", "--name", "x", "--scope", "z", "--scope", "a"), "2", "--scope: a is not in"),
        (("create", "--name", "x", "--scope", "שלום"), "1", "--scope: \u2068שלום\u2069 is not in"),
        (("create", "--name", "x", "--scope", "a"), "7", "--scope: Not in the catalogue: number 7 of these"),
        (("edit", "key_1", "--remove-scope", "a"), "7", "scopes: Not in the catalogue: number 7 of these"),
    ],
)
def test_a_place_in_the_list_of_scopes_is_said_as_the_scope(
    stub: Stub, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], places: str, words: str
) -> None:
    reply = refusal(400, "validation", "Some fields are invalid", "Each", ("/scopes", NUMBERED.format(places)))
    assert said(stub, capsys, reply, *arguments).startswith(words)


@pytest.mark.parametrize(
    ("pointer", "detail", "words"),
    [
        ("/networks/1", "It isn't one.", "--network no\\u001b[2J: It isn't one."),
        (
            "/networks/1",
            "This repeats index 0. Remove it.",
            "--network no\\u001b[2J: This repeats 192.0.2.1. Remove it.",
        ),
        ("/networks/9", "This repeats index 8.", "--network: This repeats index 8."),
        ("/networks", "Enter up to 50 networks.", "--network: Enter up to 50 networks."),
        ("/networks", "Enter \x1b[2J fewer.", "--network: Enter \\u001b[2J fewer."),
        ("/name", "It is too long.", "--name: It is too long."),
    ],
)
def test_a_place_in_the_list_of_networks_is_said_as_the_network(
    stub: Stub, capsys: pytest.CaptureFixture[str], pointer: str, detail: str, words: str
) -> None:
    reply = refusal(400, "validation", "Some fields are invalid", "Each", (pointer, detail))
    networks = ("--network", "192.0.2.1", "--network", "no\x1b[2J")
    for command in (("create", "--name", "x"), ("edit", "key_1")):
        assert said(stub, capsys, reply, *command, *networks) == words


def test_a_scope_that_the_key_in_use_lacks_is_named(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    challenge = {"WWW_Authenticate": 'Bearer error="insufficient_scope", scope="reports:write"'}
    title = "This credential lacks a required scope"
    plain = refusal(403, "insufficient_scope", title, "The response names it.", **challenge)
    assert said(stub, capsys, plain, "resume", "key_1").startswith(f"{title}: reports:write.")
    beyond = refusal(403, "insufficient_scope", title, "The response names it.", ("/scopes", title), **challenge)
    shown = said(stub, capsys, beyond, "edit", "key_1", "--add-scope", "reports:write")
    assert shown.startswith("--add-scope: The key that you use lacks reports:write")


@pytest.mark.parametrize("arguments", [[], ["keys"]])
def test_without_a_command_there_is_the_usage_once_and_no_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(arguments) == ExitStatus.USAGE
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("Usage: "), "Error:" in shown.err) == ("", 1, False)
    assert "Commands:" in shown.err


class Paged:
    """A portal with keys of these states, as many on each page as are given together."""

    def __init__(self, *pages: list[str]) -> None:
        self.pages = pages

    def __call__(self, request: Received) -> Reply:
        number = int(request.path.partition("cursor=")[2] or 0)
        items: list[Any] = [{**A_KEY, "state": state} for state in self.pages[number]]
        return as_json({"items": items, "next": str(number + 1) if number + 1 < len(self.pages) else None})


def test_pages_of_revoked_keys_are_passed_over(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.answer = Paged(["revoked", "revoked"], ["revoked", "active"], ["active"])
    assert run(["keys", "list"]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 2
    assert shown.err.splitlines()[0].startswith("3 revoked keys are not shown.")
    assert shown.err.splitlines()[1].startswith("There are more keys.")
    assert run(["keys", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert (len(listed["items"]), listed["next"]) == (1, "2")
    assert len(stub.received) == 4
