"""Somebody writes to the database, without the server's keys: nothing they write runs, lets in, or widens a right."""

import base64
import pickle
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import DatabaseError, DataError, IntegrityError, connection, models, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django.utils import timezone
from pytest_django import Settings

from accounts import links
from accounts.models import CacheEntry, MailedLink, User
from accounts.services import create_user, reset_password, unconfirm_user
from accounts.sessions import session_digest
from apikeys import services as keys
from apikeys.errors import ScopeNotAllowedError
from apikeys.models import APIKey, KeySecret
from audit.chain import extend_chain
from audit.event_types import EventType
from audit.removal import remove_expired_events
from audit.services import record_event
from credentials.scopes.models import Scope
from credentials.scopes.services import remove_scope
from credentials.usage.models import SourceAddress, Usage
from integrity.models import KeyCheck
from integrity.sealed import SealedRow, TamperedRowError
from tests.accounts.mailbox import get, post
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeKey, MakeUser
from tests.gadget import RAN, Gadget
from tests.oauth_client import basic
from tokens import services as tokens
from tokens.errors import InvalidGrantError
from tokens.models import Audience, Housekeeping, RefreshToken, RevokedToken, TokenFamily

pytestmark = pytest.mark.django_db
COOKIE = "__Host-sessionid"

DESCRIBES = {
    "accounts.User": {"last_login", "joined_at"},
    "accounts.MailedLink": set(),
    "audit.Event": set(),
    "audit.Checkpoint": set(),
    "audit.ChainState": set(),
    "credentials.Scope": {"description", "created_at"},
    "apikeys.APIKey": {"name", "created_at", "revoked_reason", "form_token"},
    "apikeys.KeySecret": {"ciphertext", "hint", "created_at"},  # the ciphertext authenticates its own row by itself
    "tokens.TokenFamily": {"refreshed_at", "ended_reason", "address", "agent"},
    "tokens.RefreshToken": {"issued_at"},
    "tokens.Audience": {"description", "created_at"},
}
"""The columns that no seal covers: they only describe, and let nobody in."""

UNSEALED = {
    "accounts.AttemptWindow": "counts; whoever resets them has more guesses",
    "accounts.CacheEntry": "one-time codes that were used; JSON",
    "accounts.PendingMessage": "what it says is sealed for its row; whoever removes that keeps a message from leaving",
    "integrity.KeyCheck": "a wrong one stops the portal",
    "credentials.ChangeCounter": "raised by triggers; who writes it makes memory forget",
    "credentials.Usage": "counts",
    "credentials.SourceAddress": "counts",
    "credentials.UsageBatch": "counts",
    "tokens.RevokedToken": "its deletion is that of a row (docs/threat-model.md)",
    "tokens.Housekeeping": "when the last purge ran",
}
"""The tables of the portal without a seal, and why that lets nobody in."""


def sql(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


# --- what is read never runs (H1) ---


def noted(reads: Callable[..., object]) -> Callable[..., object]:
    """Return the same, which leaves a trace."""

    def read(*given: Any, **options: Any) -> object:
        RAN.append("read")
        return reads(*given, **options)

    return read


@pytest.fixture
def unpicklings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was unpickled: whole, which runs it, or only in part. No audit hook: it would outlive the test."""
    RAN.clear()
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, noted(getattr(pickle, name)))
    return RAN


def walk(client: Client, pages: Iterable[str]) -> None:
    """Ask for these pages."""
    for page in pages:
        client.get(f"/{page}", secure=True)


def pages_that_read(model: type[models.Model], client: Client) -> list[str]:
    """Return every page that needs no argument and asks this table, as long as nobody has written into it."""
    asking = []
    for page in sorted({str(one) for one in plain_paths()}):
        with CaptureQueriesContext(connection) as asked:
            walk(client, [page])
        if any(f'"{model._meta.db_table}"' in query["sql"] for query in asked):
            asking.append(page)
    return asking


def plain_paths(resolver: Any = None, prefix: str = "") -> Iterator[str]:
    for pattern in (resolver or get_resolver()).url_patterns:
        path = prefix + str(pattern.pattern).lstrip("^").rstrip("$\\Z")
        if hasattr(pattern, "url_patterns"):
            yield from plain_paths(pattern, path)
        elif "<" not in path and "(" not in path and "logout" not in path:
            yield path


def plant(value: object, column: "models.Field[Any, Any]") -> bool:
    """Write a value into every row of a column; give whether the database takes it."""
    table = column.model._meta.db_table
    try:
        with transaction.atomic():
            sql(f'UPDATE "{table}" SET "{column.column}" = %s', value)
    except (IntegrityError, DataError):
        return False
    return True


def plain_rows(key: APIKey) -> None:
    """Make a row of each table that the verbs leave empty for now."""
    now = timezone.now()
    Usage.objects.create(credential=key.pk, hour=now, entry_point="api", outcome="accepted", count=1)
    SourceAddress.objects.create(credential=key.pk, address="192.0.2.1", first_at=now, last_at=now)
    RevokedToken.objects.create(issuer="x", token_id="tok_x", expires_at=now + timedelta(hours=1))
    Housekeeping.objects.create(task="purge", started_at=now, finished_at=now, by="test")


HOSTILE_TABLES = (User, APIKey, KeySecret, Scope, TokenFamily, RefreshToken, Housekeeping, CacheEntry, Session)
HOSTILE = (
    *HOSTILE_TABLES,
    Audience,
    Usage,
    SourceAddress,
    EmailAddress,
    Authenticator,
    MailedLink,
    KeyCheck,
    RevokedToken,
)


@pytest.mark.sweep
@pytest.mark.once  # on the database that takes anything into any column
@pytest.mark.finding("H1")
@pytest.mark.parametrize("model", HOSTILE, ids=lambda model: model.__name__)
def test_nothing_that_is_planted_in_a_column_is_unpickled(
    log_in: LogIn, operator: User, make_key: MakeKey, scopes: list[Scope], unpicklings: list[str], model: Any
) -> None:
    key, secret = make_key(scopes=["reports:read"])
    tokens.issue_to_user(user=operator, scopes=None, agent="", origin=ORIGIN)
    TOTP.activate(operator, generate_totp_secret())
    Audience.objects.create(uri="https://reports.test", description="Reports")
    links.issue(links.RESET, user=operator, email=operator.email)
    cache.set("somebody", "something")
    plain_rows(key)
    client = log_in(operator)
    client.raise_request_exception = False
    cookie = client.cookies[COOKIE].value
    pages = pages_that_read(model, client)
    raw = pickle.dumps(Gadget())
    text = base64.b64encode(raw).decode()
    for column in model._meta.concrete_fields:
        if column.primary_key or column.is_relation or column.unique or isinstance(column, models.DateTimeField):
            continue
        kept = list(model.objects.values_list("pk", column.attname))
        assert kept, "nothing to plant in"
        hostile: object = text[: column.max_length] if column.max_length else text
        if isinstance(column, models.JSONField | models.BinaryField):
            hostile = raw if isinstance(column, models.BinaryField) else f'"{text}"'
        elif not isinstance(column, models.CharField | models.TextField):
            continue
        if not plant(hostile, column):
            continue
        client.cookies[COOKIE] = cookie
        walk(client, pages)
        client.get("/api/v1/me", secure=True, headers={"Authorization": f"Bearer {secret}"})
        post(Client(), "/accounts/login/", login=operator.email, password=PASSWORD)
        model.objects.exclude(pk__in=[pk for pk, _ in kept]).delete()  # what was made beside them meanwhile
        for pk, value in kept:
            model.objects.filter(pk=pk).update(**{column.attname: value})
    assert unpicklings == []


def test_an_unpickling_would_be_heard(unpicklings: list[str]) -> None:
    pickle.loads(pickle.dumps(Gadget()))  # noqa: S301  # what must never happen is made to happen once
    assert unpicklings == ["read", "run"]


@pytest.mark.finding("H1")
def test_what_was_kept_in_djangos_cache_as_a_pickle_is_no_value(unpicklings: list[str]) -> None:
    cache.set("limit", [1, 2, 3])
    assert cache.get("limit") == [1, 2, 3]
    text = base64.b64encode(pickle.dumps(Gadget())).decode()
    CacheEntry.objects.update(value=text)
    assert cache.get("limit") == text
    assert unpicklings == []


# --- what authorises is sealed (H16) ---


def sealed_models() -> list[type[SealedRow]]:
    return [model for model in apps.get_models() if issubclass(model, SealedRow)]


def other_value(row: SealedRow, name: str) -> Any:
    """Give a value for a column that somebody might write into it."""
    (field,) = (one for one in row._meta.concrete_fields if one.attname == name)
    value = getattr(row, name)
    if isinstance(field, models.DateTimeField):
        return None if value else timezone.now() - timedelta(days=1)
    if isinstance(field, models.BooleanField):
        return not value
    if isinstance(field, models.IntegerField):
        return value + 1
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


def is_in(client: Client, path: str = "/keys/") -> bool:
    return bool(get(client, path).status_code == 200)


def enters(email: str, password: str) -> bool:
    client = Client()
    post(client, "/accounts/login/", login=email, password=password)
    return is_in(client)


def log_in_for_tokens(email: str, password: str) -> int:
    headers = {"Authorization": basic(email, password)}
    answer = Client().post("/api/v1/tokens", secure=True, content_type="application/json", headers=headers)
    return int(answer.status_code)


@pytest.mark.finding("H16")
def test_another_password_hash_lets_nobody_in(operator: User, make_user: MakeUser) -> None:
    mine = make_user("mine@example.com", password="a phrase of my own")
    sql("UPDATE accounts_user SET password = %s WHERE id = %s", mine.password, operator.pk)
    assert not enters(operator.email, "a phrase of my own")
    assert log_in_for_tokens(operator.email, "a phrase of my own") == 401
    assert log_in_for_tokens(mine.email, "a phrase of my own") == 200


@pytest.mark.finding("H16")
@pytest.mark.parametrize("flags", ["is_staff = true", "is_staff = true, is_superuser = true"])
def test_nobody_makes_themselves_an_operator(log_in: LogIn, developer: User, flags: str) -> None:
    client = log_in(developer)
    sql(f"UPDATE accounts_user SET {flags} WHERE id = %s", developer.pk)
    assert get(client, "/admin/").status_code == 302
    assert not enters(developer.email, PASSWORD)


@pytest.mark.finding("H16")
def test_a_copied_session_row_is_an_empty_session(log_in: LogIn, operator: User, make_user: MakeUser) -> None:
    client = log_in(operator)
    row = Session.objects.get(session_key=session_digest(client.cookies[COOKIE].value))
    thief = Client()
    post(thief, "/accounts/login/", login=make_user("thief@example.com").email, password=PASSWORD)
    own = session_digest(thief.cookies[COOKIE].value)
    sql("UPDATE django_session SET session_data = %s WHERE session_key = %s", row.session_data, own)
    assert get(thief, "/admin/").status_code == 302
    assert not is_in(thief)


@pytest.mark.finding("H16")
def test_a_session_key_that_somebody_chose_opens_nothing(log_in: LogIn, operator: User) -> None:
    client = log_in(operator)
    chosen = session_digest("a token of the thief's own")
    sql(
        "UPDATE django_session SET session_key = %s WHERE session_key = %s",
        chosen,
        session_digest(client.cookies[COOKIE].value),
    )
    thief = Client()
    thief.cookies[COOKIE] = "a token of the thief's own"
    assert not is_in(thief)


@pytest.mark.finding("H16")
def test_an_idle_session_is_not_prolonged_by_its_row(log_in: LogIn, developer: User, time_machine: Any) -> None:
    client = log_in(developer)
    time_machine.move_to(timezone.now() + timedelta(minutes=31))
    sql("UPDATE django_session SET expire_date = %s", timezone.now() + timedelta(days=9))
    assert not is_in(client)


@pytest.mark.finding("H16")
def test_a_deleted_second_factor_does_not_leave_the_password_alone(developer: User) -> None:
    TOTP.activate(developer, generate_totp_secret())
    assert enters(developer.email, PASSWORD) is False  # a code is asked for
    sql("DELETE FROM mfa_authenticator")
    assert not enters(developer.email, PASSWORD)
    assert log_in_for_tokens(developer.email, PASSWORD) == 401


@pytest.mark.finding("H16")
def test_another_accounts_second_factor_is_none(developer: User, make_user: MakeUser) -> None:
    TOTP.activate(developer, generate_totp_secret())
    mine = make_user("mine@example.com")
    TOTP.activate(mine, generate_totp_secret())
    of_mine = "(SELECT data FROM mfa_authenticator WHERE user_id = %s)"
    sql(f"UPDATE mfa_authenticator SET data = {of_mine} WHERE user_id = %s", mine.pk, developer.pk)
    client = Client()
    answer = post(client, "/accounts/login/", login=developer.email, password=PASSWORD)
    assert answer.status_code == 409
    assert "can't be used" in answer.content.decode()


@pytest.mark.finding("H16")
def test_what_is_tampered_with_is_not_sealed_by_the_next_change(developer: User) -> None:
    TOTP.activate(developer, generate_totp_secret())
    sql("DELETE FROM mfa_authenticator")
    TOTP.activate(developer, generate_totp_secret())
    assert not enters(developer.email, PASSWORD)
    client = Client()
    assert post(client, "/accounts/login/", login=developer.email, password=PASSWORD).status_code == 409


@pytest.mark.finding("H16")
@pytest.mark.parametrize(
    "statement",
    [
        (
            "INSERT INTO accounts_user_user_permissions (user_id, permission_id) "
            "SELECT %s, id FROM auth_permission WHERE codename = 'change_user'"
        ),
        "UPDATE auth_permission SET codename = 'view_more' WHERE codename = 'view_user' AND %s <> ''",
        "UPDATE accounts_user SET rights_digest = '' WHERE id = %s",
    ],
    ids=["granted", "renamed", "forgotten"],
)
def test_a_permission_that_was_written_by_hand_is_none(log_in: LogIn, make_user: MakeUser, statement: str) -> None:
    staff = make_user("staff@example.com")
    staff.is_staff = True
    staff.save()
    staff.user_permissions.add(Permission.objects.get(codename="view_user"))
    client = log_in(staff)
    assert is_in(client, "/admin/accounts/user/")
    sql(statement, staff.pk)
    assert not is_in(client, "/admin/accounts/user/")


@pytest.mark.finding("H16")
def test_rights_that_are_given_by_the_library_count(log_in: LogIn, make_user: MakeUser) -> None:
    staff = make_user("staff@example.com")
    staff.is_staff = True
    staff.save()
    group = Group.objects.create(name="readers")
    group.user_set.add(staff)
    group.permissions.add(Permission.objects.get(codename="view_user"))
    client = log_in(staff)
    assert is_in(client, "/admin/accounts/user/")
    group.permissions.clear()
    assert not is_in(client, "/admin/accounts/user/")
    sql(
        "INSERT INTO auth_group_permissions (group_id, permission_id) "
        "SELECT %s, id FROM auth_permission WHERE codename = 'view_user'",
        group.pk,
    )
    assert not is_in(client, "/admin/accounts/user/")


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
    assert keys.limit_key(key=key, limit="1/hour", origin=ORIGIN)
    paused = APIKey.objects.get()
    paused.paused_at = timezone.now() if "paused" in change else None
    paused.save()
    sql(f"UPDATE apikeys_apikey SET {change}")
    answer = client.get("/api/v1/me", secure=True, headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


@pytest.mark.finding("H16")
@pytest.mark.parametrize("table", ["account_emailaddress", "accounts_user"])
def test_an_address_that_was_written_by_hand_gets_no_reset(developer: User, table: str) -> None:
    create_user(email="mine@example.com", password=PASSWORD, confirmed=True, origin=ORIGIN)
    if table == "account_emailaddress":
        sql("DELETE FROM account_emailaddress WHERE user_id = %s", developer.pk)
        sql("UPDATE account_emailaddress SET user_id = %s WHERE email = 'mine@example.com'", developer.pk)
    else:
        sql("UPDATE accounts_user SET email = 'gone@example.com' WHERE email = 'mine@example.com'")
        sql("UPDATE accounts_user SET email = 'mine@example.com' WHERE id = %s", developer.pk)
    post(Client(), "/accounts/password/reset/", email="mine@example.com")
    sent = MailedLink.objects.get(purpose=links.RESET)
    if table == "account_emailaddress":
        assert sent.user != developer  # the table of a library is not asked
        return
    with pytest.raises(TamperedRowError):
        reset_password(link=sent, password="a phrase of my own", origin=ORIGIN)
    assert not enters("mine@example.com", "a phrase of my own")


@pytest.mark.finding("H16")
@pytest.mark.parametrize(
    "change", ["user_id = '{other}'", "expires_at = '2100-01-01 00:00:00'", "purpose = 'unlock'", "digest = seal"]
)
def test_a_link_that_was_written_by_hand_opens_nothing(developer: User, make_user: MakeUser, change: str) -> None:
    text = links.issue(links.RESET, user=developer, email=developer.email)
    assert links.find(links.RESET, text) is not None
    sql(f"UPDATE accounts_mailedlink SET {change.format(other=make_user('other@example.com').pk)}")
    for purpose in (links.RESET, links.UNLOCK):
        assert links.find(purpose, text) is None


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
