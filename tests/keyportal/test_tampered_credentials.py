"""An attacker writes to the tables of credentials without the server's keys, and widens or revives nothing."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.services import unconfirm_user
from apikeys import services as keys
from apikeys.errors import ScopeNotAllowedError
from apikeys.models import APIKey
from credentials.scopes.models import Scope
from credentials.scopes.services import remove_scope
from tests.conftest import ORIGIN, MakeKey
from tests.tampering import sql
from tokens import services as tokens
from tokens.errors import InvalidGrantError
from tokens.models import TokenFamily

pytestmark = pytest.mark.django_db


@pytest.mark.finding("H16")
def test_a_restriction_that_was_lifted_for_a_moment_gives_nothing(developer: User, scopes: list[Scope]) -> None:
    sql("UPDATE credentials_scope SET restricted = false WHERE name = 'secrets:all'")
    with pytest.raises(ScopeNotAllowedError):
        keys.create_key(owner=developer, name="x", environment="live", scopes=["secrets:all"], origin=ORIGIN)
    issued = tokens.issue_to_user(user=developer, scopes=None, agent="", origin=ORIGIN)
    assert "secrets:all" not in issued.scope


@pytest.mark.finding("H16")
def test_a_scope_of_the_portals_own_is_restricted_whatever_its_row_says(developer: User) -> None:
    """Its row has no seal: a migration wrote it."""
    sql("UPDATE credentials_scope SET restricted = false WHERE name = 'credentials:verify'")
    with pytest.raises(ScopeNotAllowedError):
        keys.create_key(owner=developer, name="x", environment="live", scopes=["credentials:verify"], origin=ORIGIN)


@pytest.mark.finding("H16")
def test_a_scope_that_was_written_by_hand_is_in_no_catalogue(make_key: MakeKey, scopes: list[Scope]) -> None:
    _, secret = make_key(scopes=["reports:read"])
    scope = Scope.objects.get(name="reports:read")
    remove_scope(scope=scope, origin=ORIGIN)
    columns = "(name, description, restricted, created_at, seal)"
    sql(f"INSERT INTO credentials_scope {columns} VALUES ('reports:read', '', false, %s, %s)", timezone.now(), b"")
    answer = Client().get("/api/v1/me", secure=True, headers={"Authorization": f"Bearer {secret}"})
    assert answer.json()["scopes"] == []


@pytest.mark.finding("H16")
def test_an_epoch_that_is_put_back_revives_no_token(client: Client, developer: User) -> None:
    issued = tokens.issue_to_user(user=developer, scopes=None, agent="", origin=ORIGIN)
    unconfirm_user(user=developer, origin=ORIGIN)
    sql("UPDATE accounts_user SET auth_epoch = 0, confirmed_at = joined_at WHERE id = %s", developer.pk)
    answer = client.get("/api/v1/me", secure=True, headers={"Authorization": f"Bearer {issued.access_token}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


@pytest.mark.finding("H16")
def test_a_spent_refresh_token_is_not_unspent_by_a_column(client: Client, developer: User) -> None:
    first = tokens.issue_to_user(user=developer, scopes=None, agent="", origin=ORIGIN)
    tokens.refresh(secret=first.refresh_token or "", scopes=None, client_id=None, origin=ORIGIN)
    sql("UPDATE tokens_refreshtoken SET used_at = NULL, replaced_by = ''")
    with pytest.raises(InvalidGrantError):
        tokens.refresh(secret=first.refresh_token or "", scopes=None, client_id=None, origin=ORIGIN)


@pytest.mark.finding("H16")
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM tokens_revokedtoken",
        "UPDATE tokens_revokedtoken SET token_id = 'tok_other'",
        "UPDATE tokens_revokedtoken SET issuer = 'somebody else'",
        "DELETE FROM tokens_revokedtoken; UPDATE tokens_tokenfamily SET ended_at = NULL",
    ],
)
def test_a_log_in_that_was_ended_stays_so(client: Client, developer: User, statement: str) -> None:
    issued = tokens.issue_to_user(user=developer, scopes=None, agent="", origin=ORIGIN)
    tokens.end_family(family=TokenFamily.objects.get(), reason="", origin=ORIGIN)
    for one in statement.split(";"):
        sql(one)
    answer = client.get("/api/v1/me", secure=True, headers={"Authorization": f"Bearer {issued.access_token}"})
    assert answer.status_code == 401


@pytest.mark.finding("H16")
@pytest.mark.parametrize(
    "change",
    [
        "paused_at = NULL",
        "rate_limit = '9999/second'",
        "networks = ''",
        "scopes = 'secrets:all'",
        "expires_at = NULL",
        "environment = 'test'",
    ],
)
def test_no_restriction_of_a_key_is_lifted_by_a_column(client: Client, make_key: MakeKey, change: str) -> None:
    key, secret = make_key(networks=["127.0.0.1/32"], expires_at=timezone.now() + timedelta(days=1))
    assert keys.set_rate_limit(key=key, limit="1/hour", origin=ORIGIN)
    paused = APIKey.objects.get()
    paused.paused_at = timezone.now() if "paused" in change else None
    paused.save()
    sql(f"UPDATE apikeys_apikey SET {change}")
    answer = client.get("/api/v1/me", secure=True, headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
