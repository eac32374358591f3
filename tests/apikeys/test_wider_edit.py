"""An edit that widens a key asks for a fresh log-in and is told to its owner; narrowing is free."""

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.models import User
from apikeys import services
from apikeys.errors import ChangedMeanwhileError, IntegrityViolationError
from apikeys.models import APIKey
from audit.models import Event
from credentials.scopes.models import Scope
from tests.accounts.mailbox import forget_messages
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeKey

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H6")]


def form_of(key: APIKey, **changes: Any) -> dict[str, Any]:
    expiry = {"expiry": "never"}
    if key.expires_at:
        expiry = {"expiry": "date", "expiry_date": f"{key.expires_at:%Y-%m-%d}"}
    fields = {"name": key.name, "scopes": key.scope_list, "networks": "\n".join(key.network_list)}
    return {"version": key.version, **fields, **expiry, **changes}


WIDER: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"scopes": ["reports:read"]}, {"scopes": ["reports:read", "reports:write"]}, "scopes"),
    ({"scopes": ["reports:read"]}, {"scopes": ["reports:write"]}, "scopes"),
    ({"networks": ["203.0.113.0/24"]}, {"networks": ""}, "networks"),
    ({"networks": ["203.0.113.0/24"]}, {"networks": "203.0.113.0/24 198.51.100.1"}, "networks"),
    ({"networks": ["203.0.113.0/24"]}, {"networks": "203.0.112.0/23"}, "networks"),
    ({"expires_at": timezone.now() + timedelta(days=3)}, {"expiry": "never"}, "expires_at"),
    ({"expires_at": timezone.now() + timedelta(days=3)}, {"expiry": "7"}, "expires_at"),
    ({"expires_at": timezone.now() - timedelta(days=3)}, {"expiry": "never"}, "expires_at"),
    ({"expires_at": timezone.now() - timedelta(days=3)}, {"expiry": "date", "expiry_date": "2040-01-01"}, "expires_at"),
]
NARROWER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"name": "renamed"}),
    ({"scopes": ["reports:read", "reports:write"]}, {"scopes": ["reports:read"]}),
    ({}, {"networks": "203.0.113.0/24"}),
    ({"networks": ["203.0.113.0/24"]}, {"networks": "203.0.113.0/25"}),
    ({"networks": ["203.0.113.0/25", "203.0.113.128/25"]}, {"networks": "203.0.113.0/24"}),
    ({}, {"expiry": "365"}),
    ({"expires_at": timezone.now() + timedelta(days=40)}, {"expiry": "30"}),
    ({"expires_at": timezone.now() - timedelta(days=3)}, {"name": "an expired one, renamed"}),
]


@pytest.mark.parametrize(("made", "changes", "column"), WIDER)
def test_a_wider_edit_asks_for_a_fresh_log_in_keeps_what_was_typed_and_is_told(
    log_in: LogIn,
    developer: User,
    make_key: MakeKey,
    scopes: list[Scope],
    made: dict[str, Any],
    changes: dict[str, Any],
    column: str,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    key, _ = make_key(**made)
    forget_messages()
    stale, path = log_in(developer, ago=301), f"/keys/{key.pk}/edit/"
    fields = form_of(key, name="typed", **changes)
    with django_capture_on_commit_callbacks(execute=True):
        answer = stale.post(path, fields, secure=True)
    assert answer["Location"] == f"/accounts/reauthenticate/?next=%2Fkeys%2F{key.pk}%2Fedit%2F"
    assert APIKey.objects.get().seal == key.seal
    assert mail.outbox == []
    confirmed = stale.post(answer["Location"], {"password": PASSWORD}, secure=True)
    assert confirmed["Location"] == path
    page = unescape(stale.get(path, secure=True).content.decode())
    assert 'value="typed"' in page
    assert "Press “Save” again" in page
    assert APIKey.objects.get().seal == key.seal
    with django_capture_on_commit_callbacks(execute=True):
        assert stale.post(path, fields, secure=True)["Location"] == f"/keys/{key.pk}/"
    assert Event.objects.get(verb="key_edited").details["widened"] == [column]
    assert [message.subject for message in mail.outbox] == ["[keyportal] Key changed: typed"]
    word = {"expires_at": "expiry"}.get(column, column)
    assert f"Allows more: {word}<" in stale.get(f"/keys/{key.pk}/", secure=True).content.decode()


@pytest.mark.parametrize(("made", "changes"), NARROWER)
def test_a_narrower_edit_asks_for_nothing_and_tells_nobody(
    log_in: LogIn,
    developer: User,
    make_key: MakeKey,
    scopes: list[Scope],
    made: dict[str, Any],
    changes: dict[str, Any],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    key, _ = make_key(**made)
    with django_capture_on_commit_callbacks(execute=True):
        answer = log_in(developer, ago=3000).post(f"/keys/{key.pk}/edit/", form_of(key, **changes), secure=True)
    assert answer["Location"] == f"/keys/{key.pk}/"
    assert Event.objects.get(verb="key_edited").details["widened"] == []
    assert mail.outbox == []


def test_a_fresh_log_in_is_not_asked_twice(log_in: LogIn, developer: User, make_key: MakeKey) -> None:
    key, _ = make_key(networks=["203.0.113.0/24"])
    answer = log_in(developer, ago=290).post(f"/keys/{key.pk}/edit/", form_of(key, networks=""), secure=True)
    assert answer["Location"] == f"/keys/{key.pk}/"


def test_a_key_that_was_tampered_with_is_not_widened_by_anybody(
    log_in: LogIn, developer: User, make_key: MakeKey
) -> None:
    key, _ = make_key()
    APIKey.objects.update(networks="nonsense")
    answer = log_in(developer).post(f"/keys/{key.pk}/edit/", form_of(key, networks="203.0.113.1"), secure=True)
    assert answer.status_code == 400
    assert "changed outside the portal" in answer.content.decode()


def test_an_edit_that_was_judged_on_another_row_is_not_written(make_key: MakeKey) -> None:
    make_key(networks=["203.0.113.0/24", "198.51.100.0/24"])
    read = APIKey.objects.get()
    services.edit_key(
        key=APIKey.objects.get(), name="x", scopes=[], networks=["203.0.113.0/24"], expires_at=None, origin=ORIGIN
    )
    narrower = ["198.51.100.0/24"]  # than what was read, and wider than what is there
    with pytest.raises(ChangedMeanwhileError):
        services.edit_key(key=read, name="x", scopes=[], networks=narrower, expires_at=None, origin=ORIGIN)
    assert APIKey.objects.get().networks == "203.0.113.0/24"


def test_a_row_that_was_tampered_with_is_not_edited_whatever_it_widens(make_key: MakeKey) -> None:
    make_key()
    APIKey.objects.update(networks="nonsense")
    with pytest.raises(IntegrityViolationError):
        services.edit_key(key=APIKey.objects.get(), name="x", scopes=[], networks=[], expires_at=None, origin=ORIGIN)
    assert not Event.objects.filter(verb="key_edited").exists()
