"""Times that people read say UTC: on pages, in messages, in the admin, at the field for a date. Nothing says None."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.admin.utils import quote
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.models import User
from accounts.sending import send_due
from apikeys import services
from apikeys.models import APIKey, KeyPolicy
from apikeys.notice_emails import send_key_expires, send_overlap_ended, send_overlap_ends
from apikeys.notice_usage import NoticeUsage
from apikeys.usage import RecentUsage
from audit.models import Event
from credentials.scopes.models import Scope
from credentials.usage.models import AddressUsage, SourceAddress, Usage
from keyportal.models import TaskRun
from tests.accounts.mailbox import forget_messages
from tests.apikeys.networks_editor import Editor
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeKey
from tests.portal import ROOT
from tokens.models import Audience, RevokedToken, TokenFamily
from tokens.services import issue_to_user

pytestmark = pytest.mark.finding("H30")
MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
TIME = re.compile(rf"\b\d{{1,2}} {MONTH}[a-z]*(?: \d{{4}})?(?:, \d\d:\d\d(?::\d\d)?)?(?P<utc> UTC)?")
OTHER_TIMES = re.compile(rf"{MONTH}[a-z]*\.? \d{{1,2}}, \d{{4}}|\b\d{{1,2}}:\d\d [ap]\.m\.")
MEANT = r"None; it only identifies you|Rate limit\s+None|None available"
"""Where the word is one of the page's own."""


@pytest.mark.once
def test_a_template_that_writes_a_time_says_utc_beside_it() -> None:
    silent = [
        (str(path.relative_to(ROOT)), found[0])
        for path in (ROOT / "templates").rglob("*.*")
        for found in re.finditer(r"\|date(?::(['\"])(?!c\1)[^'\"]*\1)? *}}(?! UTC)", path.read_text())
    ]
    assert silent == []


def times_without_utc(text: str) -> list[str]:
    text = re.sub(r"<[^>]*datetime=\"[^\"]*\"", "<", unescape(text))
    return [found[0] for found in TIME.finditer(text) if not found["utc"]] + OTHER_TIMES.findall(text)


@pytest.mark.once
@pytest.mark.parametrize(
    ("text", "silent"),
    [
        ("3 Dec 2026", 1),
        ("3 Dec 2026 UTC", 0),
        ("3 Dec 2026, 10:15", 1),
        ("3 Dec 2026, 10:15 UTC", 0),
        ("3 Dec 2026, 10:15:07 UTC", 0),
        ("3 Dec", 1),
        ("3 Dec UTC", 0),
        ("3 Dec, 10:15 UTC", 0),
        ("Dec. 3, 2026, 10:15 a.m.", 2),
    ],
)
def test_the_look_for_times_finds_them(text: str, silent: int) -> None:
    assert len(times_without_utc(text)) == silent


@pytest.fixture
def lived_in(operator: User, make_key: MakeKey) -> APIKey:
    """An account with something in every list: keys in each state, use, apps, sessions, a passkey, events."""
    now = timezone.now()
    key, _ = make_key(owner=operator, expires_at=now + timedelta(days=40), name="working")
    make_key(owner=operator, expires_at=now + timedelta(days=2), name="soon")
    make_key(owner=operator, expires_at=now - timedelta(days=2), name="over")
    make_key(owner=operator, name="paused")[0]
    APIKey.objects.filter(name="paused").update(paused_at=now)
    services.revoke(key=make_key(owner=operator, name="revoked")[0], reason="", origin=ORIGIN)
    services.edit_key(key=key, name="changed", scopes=[], networks=[], expires_at=None, origin=ORIGIN)
    secret = key.secrets.get().pk
    for back in (1, 30):
        hour = (now - timedelta(hours=back)).replace(minute=0, second=0, microsecond=0)
        Usage.objects.create(credential=key.pk, hour=hour, entry_point="api", outcome="accepted", count=3)
    SourceAddress.objects.create(
        credential=key.pk, secret=secret, address="", first_at=now - timedelta(days=9), last_at=now
    )
    AddressUsage.objects.create(credential=key.pk, day=now.date(), address="192.0.2.1", count=3)
    UserSession.objects.create(user=operator, ip="192.0.2.1", session_key="s", user_agent="x")
    common = {"epoch": 0, "started_at": now, "refreshed_at": now, "expires_at": now + timedelta(days=1), "seal": b"x"}
    TokenFamily.objects.create(user=operator, **common)
    TokenFamily.objects.create(user=operator, audience="https://reports.test", **common)
    Audience.objects.create(uri="https://reports.test", description="Reports")
    services.set_policy(policy=KeyPolicy(environment="live", max_days=90), origin=ORIGIN)
    RevokedToken.objects.create(issuer="i", token_id="t", expires_at=now)
    TaskRun.objects.get_or_create(task="purge", defaults={"started_at": now})
    return key


def pages_of(key: APIKey) -> list[str]:
    own = ["/keys/", "/keys/?state=revoked", "/keys/new/", "/account/", "/account/history/", "/account/apps/"]
    own += ["/accounts/sessions/", "/accounts/2fa/webauthn/", "/accounts/2fa/", "/accounts/email/", "/account/emails/"]
    own += ["/diagnose/"]
    parts = ("", "?by=hour", "edit/", "networks/", "revoke/")
    own += [f"/keys/{other.pk}/{part}" for other in APIKey.objects.all() for part in parts]
    lists = [
        "accounts/user",
        "audit/event",
        "accounts/pendingmessage",
        "apikeys/apikey",
        "apikeys/keypolicy",
        "credentials/scope",
        "credentials/usage",
    ]
    lists += [
        "credentials/sourceaddress",
        "tokens/tokenfamily",
        "tokens/audience",
        "tokens/revokedtoken",
        "keyportal/taskrun",
    ]
    admin = [f"/admin/{name}/" for name in lists] + ["/admin/", f"/admin/accounts/user/{quote(key.owner_id)}/change/"]
    admin += [f"/admin/apikeys/apikey/{quote(other.pk)}/change/" for other in APIKey.objects.all()]
    admin += ["/admin/apikeys/keypolicy/live/change/", "/admin/apikeys/keypolicy/live/history/"]
    admin += [f"/admin/audit/event/{event.pk}/change/" for event in Event.objects.all()[:2]]
    return own + admin


@pytest.mark.sweep
@pytest.mark.django_db
def test_every_page_says_utc_and_none_says_none(log_in: LogIn, operator: User, lived_in: APIKey) -> None:
    browser = log_in(operator)
    Authenticator.objects.create(user=operator, type="webauthn", data={"name": "old", "credential": {}})
    silent, empty, seen = {}, [], 0
    for path in pages_of(lived_in):
        answer = browser.get(path, secure=True, follow=True)
        assert answer.status_code == 200, path
        page = answer.content.decode()
        text = unescape(re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))
        seen += len(re.findall(r" UTC\b", text))
        if found := times_without_utc(without_filters(text)):
            silent[path] = found
        if re.search(r"\bNone\b", re.sub(MEANT, "", re.sub(r"<[^>]+>", " ", text))):
            empty.append(path)
    assert silent == {}
    assert empty == []
    assert seen > 100


def without_filters(page: str) -> str:
    """Leave out the admin's filters and its way down the years, which name days that are no moments."""
    page = re.sub(r"<nav id=\"changelist-filter\".*?</nav>", "", page, flags=re.DOTALL)
    return re.sub(r"<(div|nav) class=\"(toplinks|xfull)\".*?</\1>", "", page, flags=re.DOTALL)


@pytest.mark.django_db
def test_the_check_of_networks_says_utc(log_in: LogIn, operator: User, lived_in: APIKey) -> None:
    editor = Editor(log_in(operator), lived_in)
    editor.press("Check", "203.0.113.7")
    assert re.search(r">\d+ \w{3} \d{4} UTC</time>", editor.page)
    assert times_without_utc(editor.page) == []


@pytest.mark.django_db
def test_the_field_for_a_date_says_when_its_day_ends(log_in: LogIn, operator: User, lived_in: APIKey) -> None:
    for path in ("/keys/new/", f"/keys/{lived_in.pk}/edit/"):
        page = log_in(operator).get(path, secure=True).content.decode()
        assert "Date (UTC)" in page
        assert "until the end of that day (midnight UTC)" in page


@pytest.mark.django_db
def test_every_message_says_utc_and_none_says_none(
    client: Client,
    developer: User,
    make_key: MakeKey,
    scopes: list[Scope],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        key, _ = make_key(expires_at=timezone.now() - timedelta(days=1), networks=["203.0.113.1/32"])
        services.reveal(secret=key.secrets.get(), origin=ORIGIN)
        services.edit_key(key=key, name="x", scopes=["reports:read"], networks=[], expires_at=None, origin=ORIGIN)
        services.revoke(key=key, reason="", origin=ORIGIN)
        client.post("/accounts/login/", {"login": developer.email, "password": PASSWORD}, secure=True)
        new = {"oldpassword": PASSWORD, "password1": "quite another phrase", "password2": "quite another phrase"}
        client.post("/accounts/password/change/", new, secure=True)
        new_device = {"login": developer.email, "password": new["password1"]}
        Client().post("/accounts/login/", new_device, secure=True)
        issue_to_user(user=developer, scopes=None, agent="", origin=replace(ORIGIN, address=None))
    assert len(mail.outbox) == 7
    for message in mail.outbox:
        parts = [str(message.body), *(str(part) for part, _ in getattr(message, "alternatives", []))]
        for part in parts:
            assert " UTC" in part, message.subject
            assert times_without_utc(part) == []
            assert "None" not in part


@pytest.mark.django_db
def test_every_notice_says_utc_and_none_says_none(make_key: MakeKey) -> None:
    key, _ = make_key(expires_at=timezone.now() + timedelta(days=7))
    secret = key.secrets.get()
    secret.retires_at = now = timezone.now()
    unused, used = (NoticeUsage(RecentUsage(calls, calls), now if calls else None) for calls in (0, 3))
    forget_messages()
    for usage in (unused, used):
        send_key_expires(key, usage, is_loud=usage is used, now=now)
        send_overlap_ends(secret, usage, now=now)
        send_overlap_ended(secret, usage)
    while send_due():
        continue
    assert len(mail.outbox) == 6
    for message in mail.outbox:
        for part in (str(message.body), *(str(part) for part, _ in getattr(message, "alternatives", []))):
            assert " UTC" in part, message.subject
            assert times_without_utc(part) == []
            assert "None" not in part


# --- what has no address ---


@pytest.mark.django_db
def test_an_address_that_nobody_knows_is_left_out_of_every_answer(client: Client, make_key: MakeKey) -> None:
    """As behind a Unix socket, where there is none."""
    Scope.objects.get_or_create(name="credentials:verify", defaults={"restricted": True})
    _, asker = make_key(scopes=["credentials:verify"], restricted=True)
    _, bound = make_key(networks=["203.0.113.0/24"], name="bound")
    for body, address in (({}, None), ({"client_ip": "198.51.100.1"}, "198.51.100.1")):
        answer = client.post(
            "/api/v1/verify",
            json.dumps({"credential": bound, **body}),
            "application/json",
            secure=True,
            headers={"Authorization": f"Bearer {asker}"},
        )
        verdict = json.loads(answer.content)
        assert (verdict["code"], verdict["about"].get("address")) == ("network_refused", address)
        assert "None" not in answer.content.decode()
    for path in ("/api/v1/me", "/gateway/auth", "/api/v1/nothing", "/keys/", "/nothing/", "/accounts/login/"):
        answer = client.get(path, secure=True, headers={"Authorization": f"Bearer {bound}"}, REMOTE_ADDR="")
        assert "None" not in answer.content.decode() + str(answer.headers)


@pytest.mark.django_db
def test_nobody_is_recorded_as_none(client: Client, developer: User) -> None:
    client.post("/accounts/logout/", secure=True)
    client.post("/accounts/login/", {"login": "nobody@example.com", "password": "x"}, secure=True)
    client.post("/accounts/password/reset/", {"email": "nobody@example.com"}, secure=True)
    for event in Event.objects.all():
        assert "None" not in (event.subject_id, event.actor, event.request_id), event


@pytest.mark.django_db
def test_the_log_says_none_of_nothing(client: Client, make_key: MakeKey, caplog: pytest.LogCaptureFixture) -> None:
    _, secret = make_key(networks=["203.0.113.0/24"])
    for path in ("/api/v1/me", "/keys/", "/nothing/"):
        client.get(path, secure=True, headers={"Authorization": f"Bearer {secret}"}, REMOTE_ADDR="")
    assert "from -" in caplog.text
    assert "None" not in caplog.text
