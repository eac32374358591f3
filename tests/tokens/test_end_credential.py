"""What an operator's search finds can be ended, on the page and at the command line."""

import io
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import User
from apikeys.models import APIKey, KeySecret
from audit.models import Event
from tests.conftest import LogIn, MakeKey
from tests.tokens.searches import claim, find_one, pair, swap
from tests.typos import with_another_end
from tokens.models import TokenFamily
from tokens.services import TokenResponse

__all__ = ["pair", "swap"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H24")]
FIND = "/admin/tokens/tokenfamily/find/"
END = f"{FIND}end/"


@pytest.fixture
def desk(log_in: LogIn, operator: User) -> Client:
    return log_in(operator)


def every_credential(make: Callable[..., tuple[APIKey, str, str]], pair: TokenResponse) -> dict[str, str]:
    key, secret, token = make()
    return {
        "secret": secret,
        "key id": key.pk,
        "secret's id": key.secrets.get().pk,
        "token of a key": token,
        "id of a token of a key": claim(token, "jti"),
        "access token": pair.access_token,
        "refresh token": pair.refresh_token or "",
        "log-in": TokenFamily.objects.get().pk,
        "id of an access token": claim(pair.access_token, "jti"),
        "hint": f"kp_live_…{secret[-4:]}",
    }


KINDS = ["secret", "key id", "secret's id", "token of a key", "id of a token of a key", "access token", "refresh token"]
KINDS += ["log-in", "id of an access token", "hint"]


def target_on(page: str) -> str:
    return page.partition('name="target" value="')[2].partition('"')[0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_ended_from_the_page_by_one_confirmed_post(
    desk: Client,
    swap: Callable[..., tuple[APIKey, str, str]],
    pair: TokenResponse,
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = every_credential(swap, pair)[kind]
    page = desk.post(FIND, {"credential": f"Authorization: Bearer {text},\n"}, secure=True).content.decode()
    assert "Accepted" in page
    is_credential = kind in ("secret", "token of a key", "access token", "refresh token")
    assert (text in page) is not is_credential
    ended = desk.post(END, {"target": target_on(page), "reason": "found in a log"}, secure=True, follow=True)
    assert "Ended. The next call is refused." in ended.content.decode()
    assert all(text not in address for address, _ in ended.redirect_chain) or not is_credential
    finding = find_one(text)
    assert finding.state.code == "revoked"
    assert finding.target is None
    verb = {"key": "key_revoked", "fam": "tokens_revoked", "tok": "token_revoked"}
    event = Event.objects.get(verb__in=verb.values())
    assert event.details["reason"] == "found in a log"
    assert not is_credential or text not in caplog.text
    assert not is_credential or text not in str(list(Event.objects.values()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_ended_at_the_command_line(
    swap: Callable[..., tuple[APIKey, str, str]], pair: TokenResponse, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = every_credential(swap, pair)[kind]
    printed = run(monkeypatch, "findkey", stdin=f"`{text}`,\n")
    assert "Accepted" in printed
    assert "dev@example.com" in printed
    assert find_one(text).state.code == "good"
    printed = run(monkeypatch, "findkey", "--end", "--reason", "leaked", stdin=text)
    assert "Ended: " in printed
    assert find_one(text).state.code == "revoked"
    with pytest.raises(CommandError, match="there is nothing to end"):
        run(monkeypatch, "findkey", "--end", "--reason", "leaked", stdin=text)
    assert Event.objects.filter(actor="command:findkey", details__reason="leaked").count() == 1


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: str) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    if "_live_" in stdin or "eyJ" in stdin:
        assert stdin.strip("`,\n") not in out.getvalue() or "…" in stdin
    return out.getvalue()


def test_findkey_takes_a_credential_from_standard_input_only_and_ends_with_a_reason_only(
    monkeypatch: pytest.MonkeyPatch, make_key: MakeKey
) -> None:
    key, secret = make_key(name="billing")
    for arguments in ((secret,), ("--end",), ("--reason", "x"), ("--end", "--reason", " ")):
        with pytest.raises(CommandError) as error:
            run(monkeypatch, "findkey", *arguments, stdin=secret)
        assert secret not in str(error.value) or arguments == (secret,)
    with pytest.raises(CommandError, match="This portal issues nothing like this"):
        run(monkeypatch, "findkey", stdin="nonsense")
    with pytest.raises(CommandError, match="its checksum is wrong"):
        run(monkeypatch, "findkey", stdin=with_another_end(secret))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe")))
    with pytest.raises(CommandError, match="UTF-8"):
        call_command("findkey")
    assert APIKey.objects.get(pk=key.pk).revoked_at is None


def test_findkey_ends_nothing_of_several(monkeypatch: pytest.MonkeyPatch, make_key: MakeKey) -> None:
    (_, one), (_, other) = make_key(), make_key()
    KeySecret.objects.update(hint="kp_live_…same")
    for text in ("kp_live_…same", f"{one} {other}"):
        with pytest.raises(CommandError, match="give exactly one credential"):
            run(monkeypatch, "findkey", "--end", "--reason", "x", stdin=text)
    assert not APIKey.objects.exclude(revoked_at=None).exists()


def test_a_reason_that_can_not_be_taken_is_asked_for_again_without_the_credential(
    desk: Client, make_key: MakeKey
) -> None:
    key, secret = make_key()
    page = desk.post(FIND, {"credential": secret}, secure=True).content.decode()
    answer = desk.post(END, {"target": target_on(page), "reason": "a\u202eb"}, secure=True)
    assert answer.status_code == 400
    again = answer.content.decode()
    assert "change the direction of text" in again
    assert key.pk in again
    assert APIKey.objects.get().revoked_at is None
    desk.post(END, {"target": target_on(again), "reason": ""}, secure=True)
    assert APIKey.objects.get().revoked_reason == "ended by an operator"


def test_a_form_that_was_left_lying_ends_nothing(
    desk: Client, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = make_key()
    page = desk.post(FIND, {"credential": secret}, secure=True).content.decode()
    monkeypatch.setattr("tokens.search_actions.MAX_AGE", -1)
    answer = desk.post(END, {"target": target_on(page)}, secure=True, follow=True)
    assert "form has expired" in answer.content.decode()
    assert APIKey.objects.get().revoked_at is None
