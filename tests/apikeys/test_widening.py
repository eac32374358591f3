"""What widens a key asks for a fresh log-in and is told to its owner; narrowing is free."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import User
from apikeys import notices, services
from apikeys.errors import ChangedMeanwhileError, IntegrityViolationError
from apikeys.models import APIKey
from apikeys.notices import SHOWN
from apikeys.widening import COMPARED, HARMLESS, widened_columns
from audit.models import Event
from audit.origin import Origin
from credentials.scopes.models import Scope
from tests.accounts.mailbox import forget_messages
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeKey
from tests.rows import rewrite

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H6")]
NOW = datetime(2031, 1, 1, tzinfo=UTC)
SOON, LATER = NOW + timedelta(days=1), NOW + timedelta(days=2)


# --- what is wider than what ---


@pytest.mark.once
@pytest.mark.parametrize(
    ("column", "before", "after", "wider"),
    [
        ("scopes", "", "a", True),
        ("scopes", "a b", "b", False),
        ("scopes", "a", "b", True),
        ("scopes", "a b", "b a", False),
        ("networks", "", "203.0.113.0/24", False),
        ("networks", "203.0.113.0/24", "", True),
        ("networks", "203.0.113.0/24", "203.0.113.0/25", False),
        ("networks", "203.0.113.0/25", "203.0.113.0/24", True),
        ("networks", "203.0.113.0/24", "203.0.113.0/24 198.51.100.7", True),
        ("networks", "203.0.113.0/24 198.51.100.0/24", "198.51.100.7/32 203.0.113.9/32", False),
        ("networks", "203.0.113.0/25 203.0.113.128/25", "203.0.113.0/24", False),
        ("networks", "203.0.113.0/26 203.0.113.128/25", "203.0.113.0/24", True),
        ("networks", "203.0.113.0/24", "0.0.0.0/0", True),
        ("networks", "0.0.0.0/0", "203.0.113.0/24", False),
        ("networks", "0.0.0.0/0", "::/0", True),
        ("networks", "2001:db8::/32", "2001:db8:1::/48", False),
        ("networks", "2001:db8:1::/48", "2001:db8::/32", True),
        ("networks", "2001:db8::/32", "2001:db8::/32 203.0.113.1/32", True),
        ("networks", "0.0.0.0/0 ::/0", "", True),
        ("networks", "nonsense", "203.0.113.0/24", True),
        ("expires_at", None, SOON, False),
        ("expires_at", SOON, None, True),
        ("expires_at", SOON, LATER, True),
        ("expires_at", LATER, SOON, False),
        ("expires_at", SOON, SOON, False),
        ("expires_at", SOON, SOON + timedelta(microseconds=1), True),
        ("rate_limit", "100/minute", "99/minute", False),
        ("rate_limit", "100/minute", "101/minute", True),
        ("rate_limit", "100/minute", "100 per 1 minute", False),
        ("rate_limit", "100/minute", "5000/hour", True),  # as many in one minute
        ("rate_limit", "6000/hour", "100/minute", False),
        ("rate_limit", "5999/hour", "100/minute", True),
        ("rate_limit", "100/minute", "100/hour", False),
        ("rate_limit", "100/hour", "100/minute", True),
        ("rate_limit", "100/minute", "", True),
        ("rate_limit", "", "100/minute", False),
        ("rate_limit", "nonsense", "100/minute", True),
        ("paused_at", SOON, None, True),
        ("paused_at", None, SOON, False),
        ("revoked_at", SOON, None, True),
        ("revoked_at", None, SOON, False),
        ("name", "a", "b", False),
    ],
)
def test_what_is_wider_is_judged_by_what_it_lets_through(column: str, before: Any, after: Any, wider: bool) -> None:
    assert widened_columns(APIKey(**{column: before}), {column: after}) == ([column] if wider else [])


@pytest.mark.once
@pytest.mark.parametrize(
    ("before", "after", "wider"),
    [("50/minute", "", True), ("100/minute", "", False), ("", "101/minute", True), ("", "100/minute", False)],
)
def test_an_empty_limit_is_the_portal_s_default(settings: Settings, before: str, after: str, wider: bool) -> None:
    settings.KEYPORTAL_RATE_LIMIT = "100/minute"
    assert bool(widened_columns(APIKey(rate_limit=before), {"rate_limit": after})) is wider


@pytest.mark.once
def test_every_column_of_a_key_has_been_thought_of_and_a_new_one_counts_as_wider() -> None:
    written_once = {"id", "owner", "environment", "created_at", "form_token", "seal", "revoked_reason"}
    columns = {field.name for field in APIKey._meta.concrete_fields}
    assert columns == set(COMPARED) | HARMLESS | written_once
    assert set(SHOWN) >= set(COMPARED) - {"revoked_at"}  # nothing brings a revoked key back
    key = APIKey(revoked_reason="a")
    assert widened_columns(key, {"revoked_reason": "b"}) == ["revoked_reason"]
    assert widened_columns(key, {"revoked_reason": "a"}) == []


# --- the page ---


def form_of(key: APIKey, **changes: Any) -> dict[str, Any]:
    expiry = {"expiry": "never"}
    if key.expires_at:
        expiry = {"expiry": "date", "expiry_date": f"{key.expires_at:%Y-%m-%d}"}
    return {"name": key.name, "scopes": key.scope_list, "networks": "\n".join(key.network_list), **expiry, **changes}


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


# --- the message ---


@pytest.fixture
def told(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Callable[..., list[str]]:
    """Edit or limit a key and give the message to its owner: as text, and as HTML."""

    def change(key: APIKey, origin: Origin = ORIGIN, **changes: Any) -> list[str]:
        forget_messages()
        with django_capture_on_commit_callbacks(execute=True):
            if "limit" in changes:
                services.limit_key(key=key, origin=origin, **changes)
            else:
                now = {"scopes": key.scope_list, "networks": key.network_list, "expires_at": key.expires_at}
                services.edit_key(key=key, origin=origin, name=key.name, **{**now, **changes})
        [message] = mail.outbox
        assert isinstance(message, EmailMultiAlternatives)
        assert message.to == ["dev@example.com"]
        return [str(message.body), re.sub("</?strong>", "", unescape(str(message.alternatives[0][0])))]

    return change


def test_the_message_says_what_became_wider_when_from_where_and_what_to_do(
    make_key: MakeKey, scopes: list[Scope], told: Callable[..., list[str]]
) -> None:
    ended = timezone.now() - timedelta(days=1)
    key, _ = make_key(scopes=["reports:read"], networks=["203.0.113.0/24"], expires_at=ended)
    over = f"{ended:%-d %b %Y, %H:%M} UTC"
    origin = replace(ORIGIN, actor=f"user:{key.owner_id}")
    for text in told(key, origin, scopes=["reports:read", "reports:write"], networks=[], expires_at=None):
        assert "can now do more than before" in text
        assert "Scopes: reports:read, reports:write (before: reports:read)" in text
        assert "Allowed networks: any (before: 203.0.113.0/24)" in text
        assert f"Expires: never (before: {over}, in the past)" in text
        assert re.search(r"When: \d{1,2} \w{3} \d{4}, \d\d:\d\d UTC", text)
        assert "From: 192.0.2.1" in text
        assert "If this wasn't you, revoke the key, change your password" in text
        assert f"https://portal.test/keys/{key.pk}/" in text


def test_a_column_that_nobody_has_thought_of_is_told_as_well(
    make_key: MakeKey, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    key, _ = make_key()
    with django_capture_on_commit_callbacks(execute=True):
        notices.key_widened(key, {"revoked_reason": "leaked"}, ORIGIN)
    assert "Revoked reason: none (before: leaked)" in str(mail.outbox[-1].body)


def test_only_what_became_wider_is_told(make_key: MakeKey, scopes: list[Scope], told: Callable[..., list[str]]) -> None:
    key, _ = make_key(scopes=["reports:read"], networks=["203.0.113.0/24"])
    for text in told(key, scopes=[], networks=[]):
        assert "Allowed networks: any" in text
        assert "Scopes" not in text


def test_a_name_is_text_in_the_message(make_key: MakeKey, django_capture_on_commit_callbacks: Any) -> None:
    key, _ = make_key(name="<img src=x>", networks=["203.0.113.0/24"])
    with django_capture_on_commit_callbacks(execute=True):
        services.edit_key(key=key, name=key.name, scopes=[], networks=[], expires_at=None, origin=ORIGIN)
    message = mail.outbox[-1]
    assert isinstance(message, EmailMultiAlternatives)
    assert "<img" not in str(message.alternatives[0][0])


@pytest.mark.parametrize("environment", ["live", "test"])
def test_operators_and_commands_are_told_of_as_well(
    make_key: MakeKey, operator: User, told: Callable[..., list[str]], environment: str
) -> None:
    for actor in (f"user:{operator.pk}", "command:editkey"):
        key, _ = make_key(environment=environment, networks=["203.0.113.0/24"])
        for text in told(key, replace(ORIGIN, actor=actor), networks=[]):
            assert "By: the portal's operators" in text
            assert "192.0.2.1" not in text
        services.limit_key(key=key, limit="5/minute", origin=ORIGIN)
        for text in told(key, replace(ORIGIN, actor=actor), limit="9/minute"):
            assert "Rate limit: 9/minute (before: 5/minute)" in text
        for text in told(key, replace(ORIGIN, actor=actor), limit=""):
            assert "Rate limit: none, the portal's default (before: 9/minute)" in text


# --- the operator ---

KEYS = "/admin/apikeys/apikey/"


def limit(browser: Client, *keys: APIKey, to: str) -> Any:
    chosen = {"action": "limit_keys", "_selected_action": [key.pk for key in keys], "limit": to}
    return browser.post(KEYS, chosen, secure=True)


def test_a_higher_limit_asks_the_operator_for_a_fresh_log_in_and_is_told_to_the_owner(
    log_in: LogIn,
    operator: User,
    make_key: MakeKey,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    one, other = make_key(name="one")[0], make_key(name="other")[0]
    for key in (one, other):
        services.limit_key(key=key, limit="5/minute", origin=ORIGIN)
    forget_messages()
    stale = log_in(operator, ago=301)
    with django_capture_on_commit_callbacks(execute=True):
        assert limit(stale, one, to="4/minute").status_code == 302
        assert APIKey.objects.get(pk=one.pk).rate_limit == "4/minute"
        answer = limit(stale, one, other, to="5/minute")
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert APIKey.objects.get(pk=one.pk).rate_limit == "4/minute"
    assert mail.outbox == []
    back = stale.post(answer["Location"], {"password": PASSWORD}, secure=True)
    page = stale.get(back["Location"], secure=True).content.decode()
    assert 'value="5/minute"' in page
    assert page.count('name="_selected_action"') == 2
    with django_capture_on_commit_callbacks(execute=True):
        limit(stale, one, other, to="5/minute")
    assert [message.subject for message in mail.outbox] == ["[keyportal] Key changed: one"]
    assert Event.objects.filter(verb="key_limited").latest("id").details["widened"] == ["rate_limit"]


def test_a_lifted_limit_is_a_higher_one(log_in: LogIn, operator: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    services.limit_key(key=key, limit="5/minute", origin=ORIGIN)
    assert limit(log_in(operator, ago=301), key, to="")["Location"].startswith("/accounts/reauthenticate/")
    assert APIKey.objects.get().rate_limit == "5/minute"


# --- races: what is judged is what is written ---


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


def test_a_limit_that_was_judged_on_another_one_is_not_set(make_key: MakeKey, log_in: LogIn, operator: User) -> None:
    make_key()
    services.limit_key(key=APIKey.objects.get(), limit="9/minute", origin=ORIGIN)
    read = APIKey.objects.get()
    services.limit_key(key=APIKey.objects.get(), limit="5/minute", origin=ORIGIN)
    with pytest.raises(ChangedMeanwhileError):
        services.limit_key(key=read, limit="8/minute", origin=ORIGIN)
    assert APIKey.objects.get().rate_limit == "5/minute"
    assert Event.objects.filter(verb="key_limited").count() == 2


def test_the_operator_is_told_of_a_limit_that_somebody_else_changed(
    make_key: MakeKey, log_in: LogIn, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = make_key()

    def meanwhile(*_: object) -> list[str]:
        rewrite(key, rate_limit="7/minute")
        return []

    monkeypatch.setattr("apikeys.admin.widened_columns", meanwhile)
    answer = limit(log_in(operator), key, to="6/minute")
    assert answer.status_code == 409
    assert "changed by someone else" in answer.content.decode()
    assert APIKey.objects.get().rate_limit == "7/minute"


def test_a_row_that_was_tampered_with_is_not_edited_whatever_it_widens(make_key: MakeKey) -> None:
    make_key()
    APIKey.objects.update(networks="nonsense")
    with pytest.raises(IntegrityViolationError):
        services.edit_key(key=APIKey.objects.get(), name="x", scopes=[], networks=[], expires_at=None, origin=ORIGIN)
    assert not Event.objects.filter(verb="key_edited").exists()
