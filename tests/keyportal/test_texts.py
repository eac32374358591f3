"""One rule for texts wherever one is entered: forms, commands, the operators' site, names of passkeys, programs."""

import base64
import io
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import User
from accounts.passkey_forms import AddPasskeyForm
from apikeys.models import APIKey
from credentials.scopes.models import Scope
from tests.conftest import PASSWORD, MakeKey
from tests.keyportal.test_admin import FIND, KEYS, act
from tokens.models import TokenFamily
from tokens.search_actions import Target

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H26")]
BAD = ("\u3164", "a\u202eb", "a\u200bb", "e" + "\u0316\u0317\u0318\u0319\u031a")
GOOD = "خانه‌ها 👩‍💻"
SCOPES = "/admin/credentials/scope/"
FIELDS = (("pause_keys", "reason"), ("revoke_keys", "reason"), ("limit_keys", "limit"))


@pytest.fixture
def desk(log_in: Callable[..., Client], operator: User) -> Client:
    return log_in(operator)


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


@pytest.mark.parametrize("text", BAD, ids=ascii)
def test_the_command_line_refuses_names_and_reasons(developer: User, make_key: MakeKey, text: str) -> None:
    key, _ = make_key()
    for arguments in (
        ("createkey", developer.email, "--name", text),
        ("revokekey", key.pk, "--reason", text),
        ("pausekey", key.pk, "--reason", text),
        ("rotatekey", key.pk, "--reason", f"x{text}y"),
        ("findkey", "--end", "--reason", text),
    ):
        with pytest.raises(CommandError) as refused:
            command(*arguments)
        assert text not in str(refused.value)
    assert APIKey.objects.get().revoked_at is None


@pytest.mark.parametrize("text", BAD, ids=ascii)
def test_the_operators_site_refuses_reasons_and_descriptions(desk: Client, make_key: MakeKey, text: str) -> None:
    key, _ = make_key()
    Scope.objects.create(name="a:b", description="before")
    new = {"name": "c:d", "description": text}
    if text.strip("\u3164"):  # no reason at all may be given
        for action in ("pause_keys", "revoke_keys"):
            assert act(desk, KEYS, action, key.pk, reason=text).status_code == 400
    desk.post(f"{SCOPES}add/", new, secure=True)
    desk.post(f"{SCOPES}a_3Ab/change/", {"description": text}, secure=True)
    assert Scope.objects.get(name="a:b").description == "before"
    assert not Scope.objects.filter(name="c:d").exists()
    assert APIKey.objects.get().revoked_at is None


def test_what_is_welcome_is_kept_and_shown(desk: Client, make_key: MakeKey, developer: User) -> None:
    key, _ = make_key()
    assert command("createkey", developer.email, "--name", GOOD)
    assert APIKey.objects.exclude(pk=key.pk).get().name == GOOD
    assert GOOD in desk.get(KEYS, secure=True).content.decode()
    act(desk, KEYS, "revoke_keys", key.pk, reason=f"\u00a0{GOOD}\u200b")
    assert APIKey.objects.get(pk=key.pk).revoked_reason == GOOD
    desk.post(f"{SCOPES}add/", {"name": "c:d", "description": GOOD}, secure=True)
    assert Scope.objects.get(name="c:d").description == GOOD


@pytest.mark.sweep
def test_a_rate_limit_is_kept_in_one_spelling(desk: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    for typed, kept in {" 5000  per 2\thours ": "5000 per 2 hours", "100/MINUTE": "100/minute", "": ""}.items():
        act(desk, KEYS, "limit_keys", key.pk, limit=typed)
        assert APIKey.objects.get().rate_limit == kept
    for typed in ("1/\u017fecond", "5/minute;6/hour", "1/minute\u202e", "٥/minute", "0/minute"):
        assert act(desk, KEYS, "limit_keys", key.pk, limit=typed).status_code == 400
    assert APIKey.objects.get().rate_limit == ""


@pytest.mark.sweep
def test_a_secret_that_was_typed_by_mistake_is_not_shown_again(
    desk: Client, log_in: Callable[..., Client], make_key: MakeKey, developer: User
) -> None:
    key, secret = make_key()
    for typed in (secret, f"leaked: {secret}", secret * 4):
        answers = [act(desk, KEYS, action, key.pk, **{field: typed}) for action, field in FIELDS]
        answers.append(act(desk, KEYS, "pause_keys", key.pk, reason="", until=typed))
        answers.append(desk.post(f"{SCOPES}add/", {"name": typed, "description": typed}, secure=True))
        target = Target(kind="key", id=key.pk).signed
        answers.append(desk.post(f"{FIND}end/", {"target": target, "reason": typed}, secure=True))
        assert [answer.status_code for answer in answers] == [400, 400, 400, 400, 200, 400]
        assert all(secret not in answer.content.decode() for answer in answers)
    browser = log_in(developer)
    for path, fields in (
        ("new/", {"name": f"x {secret}", "environment": "live", "expiry": "never", "form_token": secret}),
        (f"{key.pk}/edit/", {"name": secret * 3, "networks": secret, "expiry": "never"}),
        (f"{key.pk}/networks/", {"networks": f"203.0.113.7 # {secret}"}),
        (f"{key.pk}/networks/check/", {"networks": secret}),
        (f"{key.pk}/networks/add/", {"networks": secret, "add": secret}),
        (f"{key.pk}/revoke/", {"reason": secret}),
    ):
        page = browser.post(f"/keys/{path}", fields, secure=True).content.decode()
        assert "error" in page
        assert secret not in page
    assert APIKey.objects.get().revoked_at is None


@pytest.fixture
def passkey(developer: User) -> Authenticator:
    data = {"name": "Laptop", "credential": {}}
    return Authenticator.objects.create(user=developer, type=Authenticator.Type.WEBAUTHN, data=data)


def test_the_name_of_a_passkey_is_held_to_the_rule(
    log_in: Callable[..., Client], developer: User, passkey: Authenticator
) -> None:
    browser = log_in(developer)
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD}, secure=True)
    path = f"/accounts/2fa/webauthn/keys/{passkey.pk}/edit/"
    for text in (*BAD, "x" * 101):
        assert browser.post(path, {"name": text}, secure=True).status_code == 200
        assert Authenticator.objects.get().data["name"] == "Laptop"
    assert browser.post(path, {"name": f" {GOOD} "}, secure=True).status_code == 302
    assert Authenticator.objects.get().data["name"] == GOOD


@pytest.mark.parametrize(
    ("typed", "kept"), [("\u3164", "Master key"), ("a\u202eb", "ab"), (f" {GOOD} ", GOOD), ("", "Master key")]
)
def test_a_new_passkey_gets_a_name_that_can_be_shown(developer: User, typed: str, kept: str) -> None:
    form: Any = AddPasskeyForm(user=developer)
    form.cleaned_data = {"name": typed}
    assert form.clean_name() == kept


def test_the_name_of_a_program_is_shown_without_what_can_not_be_seen(
    client: Client, log_in: Callable[..., Client], developer: User, make_key: MakeKey, settings: Any
) -> None:
    _, secret = make_key()
    agent = f"tool\x85\xad/1 {secret}"
    head = "Basic " + base64.b64encode(f"{developer.email}:{PASSWORD}".encode()).decode()
    sent = client.generic("POST", "/api/v1/tokens", secure=True, headers={"Authorization": head, "User-Agent": agent})
    assert sent.status_code == 200, sent.content
    shown = f"tool/1 kp_live_…{secret[-4:]}"
    assert TokenFamily.objects.get().agent == shown
    browser = log_in(developer)
    browser.get("/account/", secure=True, headers={"User-Agent": agent})
    session = UserSession.objects.get()
    UserSession.objects.update(user_agent=f"{agent}\u202e")
    page = browser.get("/accounts/sessions/", secure=True, headers={"User-Agent": agent}).content.decode()
    assert session.session_key
    assert shown in page
    assert secret not in page
