"""Purging: what goes, what stays, and who is not disturbed by it."""

import logging
import time
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.forms import SIGN_UPS
from accounts.models import AttemptWindow, PendingMessage, User
from apikeys.expired_rows import NOTICES_KEPT_FOR
from apikeys.models import APIKey, KeySecret, Notice
from credentials.usage.models import AddressUsage, SourceAddress, Usage
from keyportal import purge as purging
from keyportal.models import TaskRun
from keyportal.purge import BATCH, purge, purge_when_due
from tests.conftest import ORIGIN, MakeKey
from tests.databases import portal_database
from tests.oauth_client import OAuthClient, json_of
from tests.portal import Portal
from tests.waiting import wait_until
from tokens import services
from tokens.expired_rows import MARGIN
from tokens.models import RefreshToken, RevokedToken, TokenFamily
from vault.secret_format import new_id
from vault.signing import Claims, sign
from vault.signing_keys import SigningRing

KEPT = MARGIN + timedelta(seconds=30)  # the leeway


def make_revoked_token(token_id: str, *, ago: timedelta) -> RevokedToken:
    return RevokedToken.objects.create(issuer="x", token_id=token_id, expires_at=timezone.now() - ago)


def many_expired(count: int, *, at_once: int = 100_000) -> None:
    """Insert as many expired revocations as are wanted, by statements of the database's own that end in time."""
    long_ago = connection.ops.adapt_datetimefield_value(timezone.now() - timedelta(days=1))
    for first in range(1, count + 1, at_once):
        last = min(first + at_once - 1, count)
        sql = (
            f"WITH RECURSIVE series(value) AS (SELECT {first} "
            f"UNION ALL SELECT value + 1 FROM series WHERE value < {last}) "
            "INSERT INTO tokens_revokedtoken (issuer, token_id, revoked_at, expires_at) "
            "SELECT 'x', 'tok_' || value, %s, %s FROM (SELECT value FROM series) AS numbers"
        )
        with connection.cursor() as cursor:
            cursor.execute(sql, [long_ago, long_ago])


@pytest.mark.django_db
@pytest.mark.conformance("RV-14")
def test_a_revocation_stays_until_nobody_could_accept_the_token() -> None:
    over = KEPT + timedelta(seconds=2)
    for name, ago in {"live": -over, "leeway": timedelta(seconds=1), "margin": KEPT - timedelta(seconds=30)}.items():
        make_revoked_token(name, ago=ago)
    make_revoked_token("over", ago=over)
    assert purge(by="test")["revoked tokens"] == 1
    assert set(RevokedToken.objects.values_list("token_id", flat=True)) == {"live", "leeway", "margin"}


@pytest.mark.conformance("RV-14")
def test_a_token_revoked_and_purged_within_the_leeway_is_still_refused(
    portal: Portal, oauth_client: OAuthClient
) -> None:
    owner = portal.make_developer("leeway@example.com")
    now = int(time.time())
    claims = Claims(
        issuer=portal.url,
        audience=portal.url,
        subject=f"user:{owner}",
        client_id="portal",
        token_id=new_id("tok"),
        scope="",
        issued_at=now - 600,
        expires_at=now - 1,
        environment="live",
        epoch=0,
    )
    token = sign(SigningRing.parse(portal.environment["KEYPORTAL_SIGNING_KEYS"]), claims)
    assert oauth_client.me(token).status == 200
    assert oauth_client.form("/oauth/revoke", {"token": token, "client_id": "portal"}).status == 200
    portal.command("purge")
    assert oauth_client.me(token).status == 401


@pytest.mark.django_db
def test_what_can_still_be_used_or_reused_stays(developer: User) -> None:
    services.issue_to_user(user=developer, scopes=None, agent="stays", origin=ORIGIN)
    services.issue_to_user(user=developer, scopes=None, agent="goes", origin=ORIGIN)
    goes = TokenFamily.objects.get(agent="goes")
    long_ago = timezone.now() - KEPT - timedelta(minutes=1)
    TokenFamily.objects.filter(pk=goes.pk).update(expires_at=long_ago)
    RefreshToken.objects.filter(family=goes).update(expires_at=long_ago)
    AttemptWindow.objects.create(pk="old", ends_at=timezone.now() - timedelta(seconds=1))
    SIGN_UPS.hit("somebody")
    Session.objects.create(session_key="old", session_data="", expire_date=timezone.now() - timedelta(seconds=1))
    Session.objects.create(session_key="new", session_data="", expire_date=timezone.now() + timedelta(hours=1))
    for days in (29, 31):
        PendingMessage.objects.create(what="test", given_up_at=timezone.now() - timedelta(days=days))
    waiting = PendingMessage.objects.create(what="test", created_at=timezone.now() - timedelta(days=99))
    removed = purge(by="test")
    assert PendingMessage.objects.filter(what="test").count() == 2
    assert PendingMessage.objects.filter(pk=waiting.pk).exists()
    gone = {"messages given up": 1, "refresh tokens": 1, "token families": 1, "attempts": 1, "sessions": 1}
    assert {kind: count for kind, count in removed.items() if count} == gone
    assert TokenFamily.objects.get().agent == "stays"
    assert RefreshToken.objects.count() == AttemptWindow.objects.count() == Session.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.security("R-32")
def test_it_works_in_batches_with_flat_memory() -> None:
    many_expired(3 * BATCH + 1)
    tracemalloc.start()
    try:
        with CaptureQueriesContext(connection) as queries:
            call_command("purge", verbosity=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    deleting = [query["sql"] for query in queries if query["sql"].startswith('DELETE FROM "tokens_revokedtoken"')]
    assert len(deleting) == 4
    assert not RevokedToken.objects.exists()
    assert peak < 30 * 2**20  # the captured statements, each with the ids of a batch, among them


@pytest.mark.django_db
def test_the_command_says_what_it_did_and_refuses_huge_batches(capsys: pytest.CaptureFixture[str]) -> None:
    make_revoked_token("over", ago=timedelta(days=1))
    call_command("purge")
    assert "revoked tokens: 1 removed" in capsys.readouterr().out
    assert TaskRun.objects.get().by == "command"
    for batch in ("0", str(BATCH + 1)):
        with pytest.raises(CommandError, match="1 to 5000"):
            call_command("purge", "--batch", batch)


@pytest.mark.django_db
def test_the_portal_purges_a_little_by_itself_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "SMALL_BATCHES", 2)
    many_expired(1100)
    purge_when_due()
    assert RevokedToken.objects.count() == 1100  # its first hour begins
    TaskRun.objects.update(started_at=timezone.now() - timedelta(hours=2))
    purge_when_due()
    assert RevokedToken.objects.count() == 100
    purge_when_due()
    assert RevokedToken.objects.count() == 100
    last = TaskRun.objects.get()
    assert (last.by, last.result["revoked tokens"]) == ("portal", 1000)
    assert last.finished_at


def test_a_portal_that_nobody_asks_for_tokens_purges_too(tmp_path: Path) -> None:
    """In the thread that writes usage: any use of a key is enough."""
    with portal_database(tmp_path) as database_url:
        site = Portal(tmp_path, database_url)
        site.make_developer("keys-only@example.com")
        _, secret = site.make_key("keys-only@example.com")
        site.shell("from tests.keyportal.test_purge import many_expired; many_expired(700)")
        site.shell("""
from datetime import timedelta
from django.utils import timezone
TaskRun.objects.create(task="purge", by="test", started_at=timezone.now() - timedelta(hours=2))
""")
        with site.running(workers=1):  # which looks at its start
            assert site.get("/gateway/auth", Authorization=f"Bearer {secret}").status == 200
            wait_until(lambda: site.shell("print(RevokedToken.objects.count())") == "0")


@pytest.mark.django_db
def test_a_secret_that_was_revoked_long_ago_becomes_unknown(make_key: MakeKey, settings: Any) -> None:
    old, new, alive = (make_key()[0] for _ in range(3))
    for key, days in ((old, settings.KEYPORTAL_TOMBSTONE_DAYS + 1), (new, settings.KEYPORTAL_TOMBSTONE_DAYS - 1)):
        APIKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now() - timedelta(days=days))
    assert purge(by="test")["tombstones"] == 1
    assert set(KeySecret.objects.values_list("key", flat=True)) == {new.pk, alive.pk}
    assert APIKey.objects.count() == 3


@pytest.mark.django_db
@pytest.mark.finding("H51")
def test_what_a_wrong_clock_counted_for_a_later_day_is_removed() -> None:
    """A host that believed to be in 2107, and one whose clock is an hour ahead."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for number, at in enumerate((hour, hour + timedelta(hours=1), hour.replace(year=2107))):
        Usage.objects.create(credential="x", hour=at, entry_point="api", outcome="accepted", count=1)
        SourceAddress.objects.create(credential="x", address=f"192.0.2.{number}", first_at=at, last_at=at)
        AddressUsage.objects.create(credential="x", day=at.date(), address=f"192.0.2.{number}", count=1)
    removed = purge(by="test")
    assert (removed["usage"], removed["addresses"], removed["calls by address"]) == (1, 1, 1)
    assert not Usage.objects.filter(hour__year=2107).exists()


@pytest.mark.django_db
def test_a_notice_is_kept_until_it_can_not_be_due_again(make_key: MakeKey) -> None:
    key, _ = make_key()
    for kind, ago in (
        ("old", NOTICES_KEPT_FOR + timedelta(minutes=1)),
        ("new", NOTICES_KEPT_FOR - timedelta(minutes=1)),
    ):
        Notice.objects.create(key=key, kind=kind, due_for=timezone.now() - ago)
    assert purge(by="test")["notices"] == 1
    assert Notice.objects.get().kind == "new"


@pytest.mark.django_db
def test_a_purge_that_fails_is_logged_and_costs_nobody_a_token(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**options: Any) -> None:
        raise DatabaseError("no room")

    monkeypatch.setattr(purging, "purge", fail)
    TaskRun.objects.create(task="purge", started_at=timezone.now() - timedelta(hours=2), by="test")
    with caplog.at_level(logging.ERROR):
        purge_when_due()
    assert "purge_failed" in caplog.text


@pytest.mark.security("R-32")
def test_two_purges_at_once_and_traffic_beside_them_do_not_disturb_each_other(
    portal: Portal, oauth_client: OAuthClient
) -> None:
    portal.make_developer("traffic@example.com")
    refresh_token: str = oauth_client.log_in("traffic@example.com")["refresh_token"]
    portal.shell("from tests.keyportal.test_purge import many_expired; many_expired(50_000)")
    purges = [portal.begin("purge", "--batch", "500") for _ in range(2)]
    refreshed = 0
    while any(purging.poll() is None for purging in purges):
        answer = oauth_client.refresh(refresh_token)
        assert answer.status == 200, answer.body
        refresh_token = json_of(answer)["refresh_token"]
        refreshed += 1
    said = [purging.communicate()[0] for purging in purges]
    assert [purging.returncode for purging in purges] == [0, 0]
    assert refreshed > 0
    assert (
        sum(int(line.split()[2]) for text in said for line in text.splitlines() if line.startswith("revoked")) == 50_000
    )
