"""Creating a key: what is stored, what is not, and who may."""

import re
from dataclasses import replace
from typing import Any

import pytest
from django.core import mail
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import User
from accounts.services import deactivate_user, unconfirm_user
from apikeys import services
from apikeys.errors import AlreadyCreatedError, NotAllowedError, ScopeNotAllowedError, TooManyKeysError
from apikeys.models import APIKey, KeySecret
from audit.models import Event
from credentials.scopes.models import Scope
from integrity.rings import sealing_ring
from tests.conftest import ORIGIN, MakeKey
from vault.sealing import unseal

pytestmark = pytest.mark.django_db


@pytest.mark.conformance("ST-01")
def test_a_secret_has_the_published_form(make_key: MakeKey) -> None:
    key, secret = make_key()
    assert re.fullmatch(r"kp_live_[0-9A-Za-z]{49}", secret)
    assert re.fullmatch(r"key_[0-9A-Za-z]{22}", key.pk)
    _, other = make_key(environment="test")
    assert re.fullmatch(r"kp_test_[0-9A-Za-z]{49}", other)


def test_the_database_holds_a_digest_a_ciphertext_and_a_hint_but_no_secret(make_key: MakeKey) -> None:
    key, secret = make_key()
    row = KeySecret.objects.get(key=key)
    stored = f"{vars(row)} {vars(APIKey.objects.get())} {list(Event.objects.values())}"
    assert secret not in stored
    assert secret[8:-6] not in stored
    assert row.hint == f"kp_live_…{secret[-4:]}"
    assert unseal(sealing_ring(), bytes(row.ciphertext or b""), row.sealing_context(key)) == secret


def test_a_show_once_key_keeps_nothing_to_show(make_key: MakeKey) -> None:
    key, _ = make_key(show_once=True)
    assert KeySecret.objects.get(key=key).ciphertext is None


def test_a_portal_that_reveals_nothing_keeps_nothing_to_show(make_key: MakeKey, settings: Settings) -> None:
    settings.KEYPORTAL_REVEAL = "once"
    key, _ = make_key()
    assert KeySecret.objects.get(key=key).ciphertext is None


def test_creating_is_recorded(make_key: MakeKey, developer: User) -> None:
    key, _ = make_key()
    event = Event.objects.get(verb="key_created")
    assert (event.subject_id, event.actor, event.address) == (key.pk, "test", "192.0.2.1")
    assert event.details == {"owner": developer.pk, "environment": "live"}


def test_the_owner_of_a_new_live_key_is_told_without_the_secret(
    make_key: MakeKey, developer: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        key, secret = make_key(name="billing <server>")
        make_key(environment="test", origin=replace(ORIGIN, actor=f"user:{developer.pk}"))
    assert [message.to for message in mail.outbox] == [["dev@example.com"]]
    message: Any = mail.outbox[0]
    parts = [message.subject, message.body, message.alternatives[0][0]]
    assert key.pk in message.body
    assert "192.0.2.1" in message.body
    assert "<server>" not in message.alternatives[0][0]
    assert not any(secret in part for part in parts)


def test_a_mail_server_that_is_down_breaks_nothing(
    make_key: MakeKey,
    settings: Settings,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    with django_capture_on_commit_callbacks(execute=True):
        make_key()
    assert APIKey.objects.count() == 1
    assert "ConnectionRefusedError" in caplog.text


def test_unconfirmed_and_inactive_owners_get_no_key(make_key: MakeKey, developer: User) -> None:
    unconfirm_user(user=developer, origin=ORIGIN)
    with pytest.raises(NotAllowedError):
        make_key()
    User.objects.update(confirmed_at="2026-01-01T00:00:00Z")
    deactivate_user(user=developer, origin=ORIGIN)
    with pytest.raises(NotAllowedError):
        make_key()
    assert not APIKey.objects.exists()


def test_scopes_come_from_the_catalogue(make_key: MakeKey, scopes: list[Scope]) -> None:
    key, _ = make_key(scopes=["reports:write", "reports:read", "reports:read"])
    assert key.scopes == "reports:read reports:write"
    with pytest.raises(ScopeNotAllowedError, match="number 1 and 3 of these"):
        make_key(scopes=["reports:burn", "reports:read", "kp_live_x"])


def test_a_restricted_scope_is_granted_by_operators_only(make_key: MakeKey, scopes: list[Scope]) -> None:
    with pytest.raises(ScopeNotAllowedError, match="Only operators"):
        make_key(scopes=["secrets:all"])
    key, _ = make_key(scopes=["secrets:all"], restricted=True)
    assert key.scope_list == ["secrets:all"]


def test_one_form_makes_one_key(make_key: MakeKey) -> None:
    key, _ = make_key(form_token="f" * 43)
    with pytest.raises(AlreadyCreatedError) as again:
        make_key(form_token="f" * 43)
    assert again.value.key_id == key.pk
    assert APIKey.objects.count() == 1


def test_the_same_token_of_another_developer_is_another_form(make_key: MakeKey, make_user: Any) -> None:
    make_key(form_token="f" * 43)
    make_key(form_token="f" * 43, owner=make_user("other@example.com"))
    assert APIKey.objects.count() == 2


@pytest.mark.security("Z-08")
def test_a_developer_has_a_limited_number_of_keys(make_key: MakeKey, settings: Settings) -> None:
    settings.KEYPORTAL_MAX_KEYS = 2
    key, _ = make_key()
    make_key(form_token="g" * 43)
    with pytest.raises(TooManyKeysError):
        make_key()
    with pytest.raises(AlreadyCreatedError):
        make_key(form_token="g" * 43)
    services.revoke(key=key, reason="", origin=ORIGIN)
    assert make_key()


@pytest.mark.security("R-30")
@pytest.mark.security("L-04")
def test_without_its_audit_event_no_key_is_made(make_key: MakeKey, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the trail can't be written")

    monkeypatch.setattr("apikeys.services.creation.record_event", broken)
    with pytest.raises(RuntimeError):
        make_key()
    assert not APIKey.objects.exists()
    assert not KeySecret.objects.exists()
