"""`remind`: what it says, what it touches, and many of them at once."""

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import PendingMessage
from apikeys import notice_emails
from apikeys.models import APIKey, KeySecret, Notice
from apikeys.services import notices
from apikeys.services.notices import send_due_notices
from tests.accounts.mailbox import forget_messages
from tests.apikeys.notices import DAY, remind
from tests.conftest import MakeKey
from tests.databases import portal_database
from tests.parallel import all_at_once
from tests.portal import Portal
from tests.rows import rewrite

OWNER = "remind@example.com"
KEYS = 130
DUE_KEYS = f"""
from datetime import timedelta
from django.utils import timezone
from apikeys.services import create_key
from audit.origin import Origin
owner, now = User.objects.get(email={OWNER!r}), timezone.now()
for number in range({{}}):
    key, _ = create_key(owner=owner, name="x", environment="test", origin=Origin.of_command("test"))
    key.created_at, key.expires_at = now - timedelta(days=60), now + timedelta(days=5)
    key.save(update_fields=["created_at", "expires_at"])
"""
FALLING_ASLEEP = """
import sys, threading
from apikeys import notice_emails
from apikeys.models import Notice
from apikeys.services.notices import send_due_notices
def sleep(*given, **named):
    print(Notice.objects.count(), "claimed", file=sys.stdout, flush=True)
    threading.Event().wait()
notice_emails.send_key_expires = sleep
send_due_notices()
"""


def make_due(make_key: MakeKey, name: str = "x") -> APIKey:
    """Make a key about whose expiry a notice is due."""
    key, _ = make_key(name=name)
    now = timezone.now()
    return rewrite(key, created_at=now - 60 * DAY, expires_at=now + 5 * DAY)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Portal]:
    """A portal that is not running, so nobody else sends what is due."""
    with portal_database(tmp_path) as database_url:
        site = Portal(tmp_path, database_url)
        site.make_developer(OWNER)
        yield site
        site.stop()


def queued(site: Portal) -> int:
    return int(site.shell("print(PendingMessage.objects.filter(what='key expires').count())"))


@pytest.mark.django_db
def test_the_command_says_how_many_of_each_it_sent(make_key: MakeKey) -> None:
    for _ in range(2):
        make_due(make_key)
    out = StringIO()
    call_command("remind", stdout=out)
    assert out.getvalue().splitlines() == [
        "keys that expire in 30 days: 0 notices queued",
        "keys that expire in 7 days: 2 notices queued",
        "keys that expire in a day: 0 notices queued",
        "former secrets that are in use and retire soon: 0 notices queued",
        "former secrets that were in use when they retired: 0 notices queued",
    ]
    assert PendingMessage.objects.filter(what="key expires").count() == 2


@pytest.mark.django_db
def test_a_round_touches_only_what_is_due(make_key: MakeKey, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(3):
        make_key(expires_at=timezone.now() + 60 * DAY)
    with django_assert_num_queries(2):
        send_due_notices()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # it reads a table of three rows whole
    for model, index in ((APIKey, "keys_by_notice"), (KeySecret, "secrets_by_notice")):
        due = model._default_manager.filter(notice_at__lte=timezone.now()).order_by("notice_at")
        assert index in due.explain()


@pytest.mark.django_db
def test_a_round_goes_on_in_batches_and_stops_where_it_is_told(
    make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "BATCH", 2)
    monkeypatch.setattr(notices, "PAUSE", 0)
    for _ in range(5):
        make_due(make_key)
    assert sum(send_due_notices(batches=1).values()) == 2
    assert sum(send_due_notices().values()) == 3
    assert sum(send_due_notices().values()) == 0


@pytest.mark.django_db
def test_what_fails_is_due_again_and_nothing_of_it_is_left(make_key: MakeKey, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "other"):
        make_due(make_key, name)
    forget_messages()
    send = notice_emails.send_key_expires

    def fail_at_the_second(key: APIKey, *given: object, **named: object) -> None:
        if PendingMessage.objects.exists():
            raise ZeroDivisionError
        send(key, *given, **named)  # type: ignore[arg-type]  # what it was called with

    with monkeypatch.context() as patched:
        patched.setattr(notice_emails, "send_key_expires", fail_at_the_second)
        with pytest.raises(ZeroDivisionError):
            send_due_notices()
    assert not Notice.objects.exists()
    assert not PendingMessage.objects.exists()
    assert sorted(remind()) == ["Key expires in 5 days: one", "Key expires in 5 days: other"]


def test_many_processes_at_once_send_each_notice_once(site: Portal) -> None:
    site.shell(DUE_KEYS.format(KEYS))
    said = all_at_once(6, lambda _: site.command("remind").stdout)
    assert sum(int(found) for text in said for found in re.findall(r"in 7 days: (\d+) notices", text)) == KEYS
    assert queued(site) == KEYS
    assert site.shell("from apikeys.models import Notice; print(Notice.objects.count())") == str(KEYS)
    assert "in 7 days: 0 notices queued" in site.command("remind").stdout


def test_what_a_killed_process_had_claimed_is_sent_by_the_next(site: Portal) -> None:
    site.shell(DUE_KEYS.format(3))
    process = site.begin("shell", "-v", "0", "-c", FALLING_ASLEEP)
    assert process.stdout
    assert process.stdout.readline() == "3 claimed\n"
    process.kill()
    process.communicate()
    assert queued(site) == 0
    assert "in 7 days: 3 notices queued" in site.command("remind").stdout
    assert queued(site) == 3
    assert "in 7 days: 0 notices queued" in site.command("remind").stdout
