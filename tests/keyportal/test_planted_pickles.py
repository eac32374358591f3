"""Nothing that is planted in the database is unpickled, whichever page reads it."""

import base64
import pickle
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import DataError, IntegrityError, connection, models, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django.utils import timezone

from accounts import links
from accounts.models import CacheEntry, MailedLink, User
from apikeys.models import APIKey, KeySecret
from credentials.scopes.models import Scope
from credentials.usage.models import SourceAddress, Usage
from integrity.models import KeyCheck
from keyportal.models import TaskRun
from tests.accounts.mailbox import post
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeKey
from tests.gadget import RAN, Gadget
from tests.tampering import sql
from tokens import services as tokens
from tokens.models import Audience, RefreshToken, RevokedToken, TokenFamily

pytestmark = pytest.mark.django_db
COOKIE = "__Host-sessionid"


def leaves_trace(reads: Callable[..., object]) -> Callable[..., object]:
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
        monkeypatch.setattr(pickle, name, leaves_trace(getattr(pickle, name)))
    return RAN


def walk(client: Client, pages: Iterable[str]) -> None:
    """Ask for these pages."""
    for page in pages:
        client.get(f"/{page}", secure=True)


ASKED: dict[str, str] = {}
"""What each page that needs no argument asks the database, in a portal where nothing is planted yet. Filled once."""


def pages_that_read(model: type[models.Model], client: Client) -> list[str]:
    """Return every page that needs no argument and asks this table."""
    if not ASKED:
        for page in sorted({str(one) for one in plain_paths()}):
            with CaptureQueriesContext(connection) as queries:
                walk(client, [page])
            ASKED[page] = "\n".join(query["sql"] for query in queries)
    return [page for page, queries in ASKED.items() if f'"{model._meta.db_table}"' in queries]


def plain_paths(resolver: Any = None, prefix: str = "") -> Iterator[str]:
    for pattern in (resolver or get_resolver()).url_patterns:
        path = prefix + str(pattern.pattern).lstrip("^").rstrip("$\\Z")
        if hasattr(pattern, "url_patterns"):
            yield from plain_paths(pattern, path)
        elif "<" not in path and "(" not in path and "logout" not in path:
            yield path


def plant(value: object, column: "models.Field[Any, Any]") -> bool:
    """Write a value into every row of a column; return whether the database takes it."""
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
    TaskRun.objects.create(task="purge", started_at=now, finished_at=now, by="test")


HOSTILE_TABLES = (User, APIKey, KeySecret, Scope, TokenFamily, RefreshToken, TaskRun, CacheEntry, Session)
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
