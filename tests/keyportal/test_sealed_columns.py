"""Every column that authorises is under the seal of its row, and a seal fits no other row."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import links
from accounts.models import User
from accounts.services import resume_issuing, suspend_issuing
from apikeys.models import KeyPolicy
from audit.chain import extend_chain
from audit.event_types import EventType
from audit.removal import remove_expired_events
from audit.services import record_event
from credentials.scopes.models import Scope
from integrity.sealed import SealedRow, TamperedRowError
from tests.conftest import ORIGIN, MakeKey
from tests.tampering import sql
from tokens import services as tokens
from tokens.models import Audience

pytestmark = pytest.mark.django_db
DESCRIBES = {
    "accounts.User": {"last_login", "joined_at"},
    "accounts.IssuingState": set(),
    "accounts.MailedLink": set(),
    "audit.Event": set(),
    "audit.ChainLink": set(),
    "audit.ChainState": set(),
    "credentials.Scope": {"description", "created_at"},
    "apikeys.APIKey": {"name", "created_at", "paused_reason", "revoked_reason", "notice_at", "form_token"},
    "apikeys.KeyPolicy": set(),
    # The ciphertext authenticates its own row by itself.
    "apikeys.KeySecret": {"ciphertext", "hint", "created_at", "notice_at"},
    "tokens.TokenFamily": {"refreshed_at", "ended_reason", "address", "agent"},
    "tokens.RefreshToken": {"issued_at"},
    "tokens.Audience": {"description", "created_at"},
}
"""The columns that no seal covers: they only describe, and open nothing."""
UNSEALED = {
    "accounts.AttemptWindow": "counts; a reset allows more guesses",
    "accounts.CacheEntry": "one-time codes that were used; JSON",
    "accounts.EmailPreference": "which messages a user gets; those about access are always sent",
    "accounts.PendingMessage": "what it says is sealed for its row; without its row a message does not leave",
    "apikeys.IdempotentAnswer": "what it says is sealed for its row; without its row a call is carried out again",
    "apikeys.Notice": "without its row a message is sent twice; with a planted one, not at all",
    "integrity.KeyCheck": "a wrong one stops the portal",
    "credentials.RecordedChange": "written by triggers; where one is missing, verifiers forget everything",
    "credentials.ChangeCounter": "raised by triggers; a write to it empties caches",
    "credentials.Usage": "counts",
    "credentials.SourceAddress": "counts",
    "credentials.AddressUsage": "counts",
    "credentials.UsageBatch": "counts",
    "tokens.RevokedToken": "its deletion is that of a row (docs/threat-model.md)",
    "keyportal.TaskRun": "when the last purge ran",
}
"""The tables of the portal without a seal, and why that opens nothing."""


def sealed_models() -> list[type[SealedRow]]:
    return [model for model in apps.get_models() if issubclass(model, SealedRow)]


def other_value(row: SealedRow, name: str) -> Any:
    """Return a value that could be written into a column in the place of its own."""
    (field,) = (one for one in row._meta.concrete_fields if one.attname == name)
    value = getattr(row, name)
    if isinstance(field, models.DateTimeField):
        return None if value else timezone.now() - timedelta(days=1)
    if isinstance(field, models.BooleanField):
        return not value
    if isinstance(field, models.IntegerField):
        return (value or 0) + 1
    if isinstance(field, models.GenericIPAddressField):
        return "203.0.113.77"
    if isinstance(field, models.JSONField):
        return {**value, "more": "x"}
    if isinstance(field, models.BinaryField):
        return bytes(value)[:-1] + bytes([bytes(value)[-1] ^ 1])
    return "kp" if not value else f"{value}"[:-1]


@pytest.fixture
def rows(developer: User, make_key: MakeKey, scopes: list[Scope], settings: Settings) -> None:
    """A row of each sealed table."""
    make_key(scopes=["reports:read"], networks=["203.0.113.0/24"])
    tokens.issue_to_user(user=developer, scopes=None, agent="", origin=ORIGIN)
    Audience.objects.create(uri="https://reports.test", description="Reports")
    KeyPolicy.objects.create(environment="live")
    suspend_issuing(reason="x", origin=ORIGIN)
    resume_issuing(origin=ORIGIN)
    links.issue(links.RESET, user=developer, email=developer.email)
    settings.KEYPORTAL_AUDIT_DAYS = 1
    with time_machine.travel(timezone.now() - timedelta(days=2)):
        record_event(EventType.KEY_REVOKED, subject="key:1", origin=ORIGIN)
    extend_chain()
    remove_expired_events(origin=ORIGIN, batch=1, batches=1)


@pytest.mark.finding("H16")
@pytest.mark.usefixtures("rows")
def test_no_column_that_authorises_can_be_changed_without_breaking_the_seal() -> None:
    for model in sealed_models():
        row = model._default_manager.order_by("pk").first()
        assert row is not None, model
        assert row.seal_is_valid(), model
        for name in model.SEALED:
            before = getattr(row, name)
            setattr(row, name, other_value(row, name))
            assert not row.seal_is_valid(), f"{model.__name__}.{name}"
            setattr(row, name, before)
        assert row.seal_is_valid(), model


@pytest.mark.finding("H16")
def test_every_column_is_sealed_or_known_to_describe_only() -> None:
    ours = ("accounts", "credentials", "apikeys", "tokens", "gateway")
    for model in apps.get_models():
        if model._meta.app_label not in ours:
            continue
        if not issubclass(model, SealedRow):
            assert model._meta.label in UNSEALED
            continue
        columns = {field.attname for field in model._meta.concrete_fields} - {"seal"}
        assert columns - set(model.SEALED) == DESCRIBES[model._meta.label], model._meta.label


@pytest.mark.finding("H16")
@pytest.mark.usefixtures("rows")
def test_a_seal_names_what_kind_of_row_it_is_of() -> None:
    kinds = [model._default_manager.all()[0].sealed_fields()[0] for model in sealed_models()]
    assert kinds == [model.PURPOSE for model in sealed_models()]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.finding("H16")
@pytest.mark.parametrize("fields", [None, ["is_active"]])
def test_a_row_that_was_tampered_with_is_not_saved(developer: User, fields: list[str] | None) -> None:
    sql("UPDATE accounts_user SET is_staff = true WHERE id = %s", developer.pk)
    with pytest.raises(TamperedRowError):
        User.objects.get(pk=developer.pk).save(update_fields=fields)
    assert not User.objects.get(pk=developer.pk).seal_is_valid()


@pytest.mark.finding("H16")
def test_a_seal_of_one_row_fits_no_other(developer: User, operator: User) -> None:
    sql("UPDATE accounts_user SET seal = (SELECT seal FROM accounts_user WHERE id = %s)", operator.pk)
    assert not User.objects.get(pk=developer.pk).seal_is_valid()
    assert User.objects.get(pk=operator.pk).seal_is_valid()


@pytest.mark.finding("H16")
@pytest.mark.parametrize("value", ["999999999999", "'x'", "x'00'", "1e400"])
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("apikeys_apikey", "expires_at"),
        ("apikeys_apikey", "networks"),
        ("apikeys_apikey", "seal"),
        ("apikeys_keysecret", "retires_at"),
        ("apikeys_keysecret", "seal"),
        ("accounts_user", "confirmed_at"),
        ("accounts_user", "is_active"),
        ("accounts_user", "auth_epoch"),
        ("accounts_user", "seal"),
    ],
)
def test_a_column_that_holds_another_type_refuses(
    make_key: MakeKey, client: Client, table: str, column: str, value: str
) -> None:
    """SQLite takes anything into any column; PostgreSQL takes most of it into none."""
    tomorrow = timezone.now() + timedelta(days=1)
    key, secret = make_key(expires_at=tomorrow)
    row = key.secrets.get()
    row.retires_at = tomorrow
    row.save()
    try:
        with transaction.atomic():
            sql(f"UPDATE {table} SET {column} = {value}")
    except DatabaseError:
        assert connection.vendor == "postgresql"
        return
    for path in ("/api/v1/me", "/api/v1/verify"):
        answer = client.get(path, secure=True, headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code in (401, 403, 405)
