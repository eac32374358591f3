"""The mail server is silent, refuses or is slow: what is tried again, when, and what is given up."""

import logging
import smtplib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.db.models import F
from django.db.models.functions import Now
from pytest_django import Settings

from accounts import pending, sending
from accounts.models import PendingMessage
from accounts.pending import DELAYS, MAX_WAIT, TRIES, backlog, give_up_hopeless
from accounts.sending import send_due
from keyportal.mailer import MAX_PAUSE, Mailer
from tests.accounts.post_office import SECOND, WHILE, database_time, let_time_pass, send_all, wired_server, write
from tests.mail_server import MailServer, Manners
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H41")]


@pytest.fixture(autouse=True)
def server(settings: Settings) -> Iterator[MailServer]:
    with wired_server(settings) as started:
        yield started


def test_a_server_that_is_silent_uses_up_no_try(server: MailServer, settings: Settings) -> None:
    for _ in range(3):
        write()
    server.manners, settings.EMAIL_TIMEOUT = Manners.SILENT, 0.2
    for _ in range(TRIES + 1):
        with pytest.raises(OSError, match=r"timed out|closed"):
            send_due()
    wait_until(lambda: server.connections == TRIES + 1)
    assert set(PendingMessage.objects.values_list("tries", flat=True)) == {0}
    server.manners, settings.EMAIL_TIMEOUT = Manners.WORKING, 5
    send_all()
    assert len(server.taken) == 3
    assert not PendingMessage.objects.exists()


def test_a_message_is_tried_five_times_after_growing_delays_and_given_up(
    server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    row = write(what="password_reset_key")
    server.manners = Manners.REFUSING
    before = vars(sending.counts()).copy()
    for delay in DELAYS:
        assert "mail_unsent" not in caplog.text
        earliest = database_time()
        send_all()
        due = PendingMessage.objects.get().due_at
        assert earliest + delay <= due <= database_time() + delay
        let_time_pass()
    assert list(DELAYS) == sorted(DELAYS)
    send_all()
    let_time_pass()
    send_all()
    left = PendingMessage.objects.get()
    assert (left.tries, left.content) == (TRIES, None) == (5, None)
    assert left.given_up_at
    assert server.connections == TRIES
    assert f"mail_delayed: password_reset_key ({row.pk}, try 1): SMTPRecipientsRefused 451" in caplog.text
    assert f"mail_unsent: password_reset_key ({row.pk}, try 5): SMTPRecipientsRefused 451" in caplog.text
    counted = {name: count - before[name] for name, count in vars(sending.counts()).items()}
    assert counted == {"sent": 0, "failed": 5, "given_up": 1}


def test_one_that_is_refused_keeps_no_other_from_leaving(server: MailServer) -> None:
    for address in ("bad@example.com", "good@example.com", "worse@example.com", "better@example.com"):
        write(address)
    server.refused_addresses = {"bad@example.com", "worse@example.com"}
    send_all()
    assert server.recipients() == ["good@example.com", "better@example.com"]
    assert list(PendingMessage.objects.values_list("tries", flat=True)) == [1, 1]


def test_one_that_can_not_be_written_down_keeps_no_other_from_leaving(server: MailServer) -> None:
    write("no address at all\n@")
    write("good@example.com")
    send_all()
    assert server.recipients() == ["good@example.com"]
    assert PendingMessage.objects.get().tries == 1


def test_a_process_that_is_ending_takes_nothing_new(server: MailServer) -> None:
    for _ in range(3):
        write()
    while send_due(is_ending=lambda: bool(server.taken)):
        continue
    assert len(server.taken) == 1
    assert list(PendingMessage.objects.values_list("tries", flat=True)) == [0, 0]


def test_what_is_handed_over_again_can_be_told_by_its_message_id(server: MailServer) -> None:
    write()
    server.manners = Manners.HANGING_UP
    send_all()
    server.manners = Manners.WORKING
    let_time_pass()
    send_all()
    first, second = server.taken
    assert first["Message-ID"] == second["Message-ID"]
    assert first.as_string() == second.as_string().replace(second.get_boundary() or "", first.get_boundary() or "")


def test_a_server_may_look_at_a_message_for_longer_than_it_may_keep_silent_before(
    server: MailServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts: list[tuple[float, float | None]] = []
    original = smtplib.SMTP.sendmail

    def sendmail(smtp: smtplib.SMTP, *given: Any) -> Any:
        timeouts.append((smtp.timeout, smtp.sock.gettimeout() if smtp.sock else None))
        return original(smtp, *given)

    monkeypatch.setattr(smtplib.SMTP, "sendmail", sendmail)
    for settings.EMAIL_TIMEOUT in (5, 60):
        write()
        send_all()
    assert timeouts == [(5, sending.ANSWER), (60, 60)]
    assert len(server.taken) == 2


def test_what_has_left_is_not_sent_again_because_the_database_was_away(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    original = pending.remove

    def away(ids: set[str]) -> None:
        raise DatabaseError

    monkeypatch.setattr(pending, "remove", away)
    for _ in range(2):
        with pytest.raises(DatabaseError):
            send_due()
        let_time_pass()
    monkeypatch.setattr(pending, "remove", original)
    send_all()
    assert len(server.taken) == 1
    assert not PendingMessage.objects.exists()


# --- what waits in vain ---


def test_what_waits_for_days_or_ended_every_process_that_took_it_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    old, deadly, held, young = (write(what=what) for what in ("old", "deadly", "held", "young"))
    PendingMessage.objects.filter(pk=old.pk).update(created_at=Now() - MAX_WAIT - SECOND)
    PendingMessage.objects.filter(pk=young.pk).update(created_at=Now() - MAX_WAIT + timedelta(minutes=1))
    PendingMessage.objects.filter(pk__in=[deadly.pk, held.pk]).update(tries=TRIES)
    PendingMessage.objects.filter(pk=held.pk).update(due_at=Now() + WHILE)  # somebody is at it
    assert give_up_hopeless() == 2
    assert set(PendingMessage.objects.filter(given_up_at=None).values_list("what", flat=True)) == {"held", "young"}
    assert f"mail_unsent: old ({old.pk})" in caplog.text
    assert f"mail_unsent: deadly ({deadly.pk})" in caplog.text
    assert not PendingMessage.objects.exclude(given_up_at=None).exclude(content=None).exists()


def test_what_waits_is_counted() -> None:
    assert backlog() == (0, 0.0)
    for _ in range(3):
        write()
    PendingMessage.objects.update(created_at=F("created_at") - timedelta(hours=1))
    write()
    PendingMessage.objects.filter(pk=write().pk).update(given_up_at=Now())
    assert backlog().waiting == 4
    assert 3600 <= backlog().longest_wait < 7200


def test_a_server_that_is_away_is_asked_less_and_less_often_and_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> None:
        raise ConnectionRefusedError

    mailer = Mailer()
    monkeypatch.setattr(mailer, "_survey", int)
    monkeypatch.setattr(mailer, "_send", away)
    pauses = []
    for _ in range(6):
        mailer._work()
        pauses.append(mailer._pause)
    assert pauses == [1, 2, 4, 8, MAX_PAUSE, MAX_PAUSE]
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "messages are waiting for the mail server: ConnectionRefusedError"
    ]
    monkeypatch.setattr(mailer, "_send", int)
    mailer._work()
    assert mailer._pause == 0
