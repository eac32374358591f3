"""What the database itself refuses, whatever writes to it: each constraint of a model does what it is for."""

from typing import Final

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts.models import EmailPreference, IssuingState
from apikeys.models import IdempotentAnswer, KeyPolicy, Notice
from audit.models import ChainState
from credentials.usage.models import AddressUsage, SourceAddress, Usage
from integrity.key_check import confirm_rings
from tests.conftest import MakeKey
from tokens.models import RevokedToken

pytestmark = pytest.mark.django_db

VIOLATIONS: Final = {
    "user_email_is_lower_case": "UPDATE accounts_user SET email = upper(email)",
    "one_preference_per_kind": (
        "INSERT INTO accounts_emailpreference ({columns}) SELECT {columns} FROM accounts_emailpreference"
    ),
    "one_check_a_key": "INSERT INTO integrity_keycheck ({columns}) SELECT {columns} FROM integrity_keycheck",
    "one_issuing_state": "UPDATE accounts_issuingstate SET id = 2",
    "one_chain_state": "UPDATE audit_chainstate SET id = 2",
    "one_key_a_form": "UPDATE apikeys_apikey SET form_token = 'the same'",
    "key_environment_is_known": "UPDATE apikeys_apikey SET environment = 'prod'",
    "key_has_a_name": "UPDATE apikeys_apikey SET name = ''",
    "one_current_secret_a_key": (
        "UPDATE apikeys_keysecret SET key_id = (SELECT min(key_id) FROM apikeys_keysecret), replaced_at = NULL"
    ),
    "one_answer_a_call": (
        "INSERT INTO apikeys_idempotentanswer (id, {columns}) SELECT 'idm_1', {columns} FROM apikeys_idempotentanswer"
    ),
    "one_notice": "INSERT INTO apikeys_notice (id, {columns}) SELECT 'ntc_1', {columns} FROM apikeys_notice",
    "policy_environment_is_known": "UPDATE apikeys_keypolicy SET environment = 'prod'",
    "policy_numbers_are_bounded": "UPDATE apikeys_keypolicy SET max_keys = 0",
    "policy_has_a_default": "UPDATE apikeys_keypolicy SET allows_never = false",
    "policy_default_is_within_bounds": "UPDATE apikeys_keypolicy SET max_days = 1, default_days = 2",
    "one_change_counter": (
        "INSERT INTO credentials_changecounter (id, identity, n, nonce, raised_by) VALUES (2, '', 0, '', 0)"
    ),
    "usage_counted_once": "INSERT INTO credentials_usage ({columns}) SELECT {columns} FROM credentials_usage",
    "one_source_address": (
        "INSERT INTO credentials_sourceaddress ({columns}) SELECT {columns} FROM credentials_sourceaddress"
    ),
    "address_counted_once": (
        "INSERT INTO credentials_addressusage ({columns}) SELECT {columns} FROM credentials_addressusage"
    ),
    "revoked_once": "INSERT INTO tokens_revokedtoken ({columns}) SELECT {columns} FROM tokens_revokedtoken",
}
"""For each constraint a statement that it refuses."""


def columns_by_constraint() -> dict[str, str]:
    """Return the columns of its table, without the number of the row, for each constraint of a table of ours."""
    ours = ("accounts", "apikeys", "audit", "credentials", "gateway", "integrity", "keyportal", "tokens")
    models = [model for model in apps.get_models() if model._meta.app_label in ours]
    return {
        constraint.name: ", ".join(str(field.column) for field in model._meta.concrete_fields if field.column != "id")
        for model in models
        for constraint in model._meta.constraints
    }


@pytest.fixture(autouse=True)
def rows(make_key: MakeKey) -> None:
    """Write a row into each of the tables, and two into that of the keys."""
    now = timezone.now()
    key, _ = make_key()
    make_key()
    KeyPolicy.objects.create(environment="live")
    IssuingState.objects.create(reason="x")
    IdempotentAnswer.objects.create(key=key, caller="key:1", call=b"x", request=b"x", holds_secret=False)
    EmailPreference.objects.create(user=key.owner, kind="expiry", wanted=False)
    Notice.objects.create(key=key, kind="expires_7", due_for=now)
    confirm_rings()
    ChainState.objects.create()
    Usage.objects.create(credential="x", hour=now, entry_point="api", outcome="accepted", count=1)
    SourceAddress.objects.create(credential="x", first_at=now, last_at=now)
    AddressUsage.objects.create(credential="x", day=now.date(), count=1)
    RevokedToken.objects.create(issuer="x", token_id="x", expires_at=now)


def test_each_constraint_has_been_thought_of() -> None:
    assert set(columns_by_constraint()) == set(VIOLATIONS)


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_constraint_refuses_what_it_is_for(name: str) -> None:
    statement = VIOLATIONS[name].format(columns=columns_by_constraint()[name])
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
