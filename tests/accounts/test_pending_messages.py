"""Messages that wait: written with what they tell of, sealed, taken by one worker at a time."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from pytest_django import Settings

from accounts import pending, sending
from accounts.models import PendingMessage
from accounts.pending import claim
from accounts.sending import send_due
from integrity.hostile_rows import seal_of
from integrity.sealed import UndoneChangeError
from keyportal.mailer import Mailer
from tests.accounts.post_office import LINK, WHILE, database_time, let_time_pass, send_all, wired_server, write
from tests.mail_server import MailServer

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H41")]


@pytest.fixture(autouse=True)
def server(settings: Settings) -> Iterator[MailServer]:
    with wired_server(settings) as started:
        yield started


# --- with what it tells of ---


def test_what_is_rolled_back_sends_nothing(server: MailServer) -> None:
    with transaction.atomic():
        write()
        transaction.set_rollback(True)
    send_all()
    assert not PendingMessage.objects.exists()
    assert server.connections == 0  # nobody is asked for nothing


def test_a_message_leaves_once_and_its_row_goes(server: MailServer) -> None:
    for address in ("one@example.com", "two@example.com", "three@example.com"):
        write(address)
    send_all()
    send_all()
    assert server.recipients() == ["one@example.com", "two@example.com", "three@example.com"]
    assert server.connections == 1
    assert not PendingMessage.objects.exists()


def test_a_message_arrives_as_it_was_written(server: MailServer) -> None:
    row = write()
    send_all()
    [message] = server.taken
    assert message["Message-ID"] == f"<{row.pk}@portal.test>"
    assert message["Auto-Submitted"] == "auto-generated"
    _, text, html = message.walk()
    assert LINK in str(text.get_payload())
    assert html.get_content_type() == "text/html"


# --- what the database holds of it ---


def test_a_waiting_message_is_unreadable_in_the_database() -> None:
    write()
    with connection.cursor() as cursor:
        cursor.execute('SELECT * FROM "accounts_pendingmessage"')
        [row] = cursor.fetchall()
    held = b" ".join(bytes(one) if isinstance(one, bytes | memoryview) else str(one).encode() for one in row)
    for part in (b"dev@", b"example.com", b"link", b"reset", b"secret"):
        assert part not in held


@pytest.mark.parametrize("column", ["content", "what"])
def test_what_was_written_for_another_row_is_sent_by_none(
    server: MailServer, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = write("one@example.com"), write("other@example.com", what="test" if column == "content" else "other")
    PendingMessage.objects.filter(pk=one.pk).update(**{column: getattr(other, column)})
    send_all()
    assert server.recipients() == ["other@example.com"]
    assert f"integrity_violation: the content of {one.pk}" in caplog.text
    left = PendingMessage.objects.get()
    assert (left.pk, left.content, left.tries) == (one.pk, None, 1)
    assert left.given_up_at


# --- who takes it ---


def test_of_two_workers_one_takes_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    takers = []

    def meanwhile(value: object) -> bytes:
        monkeypatch.setattr("accounts.pending.seal_of", seal_of)
        takers.append(claim(during=WHILE))  # another worker, between this one's look and its UPDATE
        return seal_of(value)

    monkeypatch.setattr("accounts.pending.seal_of", meanwhile)
    takers.append(claim(during=WHILE))
    assert [taker is not None for taker in takers] == [True, False]
    assert PendingMessage.objects.get().tries == 1


def test_a_worker_that_loses_a_message_takes_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    second = write()
    original = pending._claim
    monkeypatch.setattr(pending, "_claim", lambda pk, during: original(pk, during) if pk == second.pk else None)
    taken = claim(during=WHILE)
    assert taken is not None
    assert taken.id == second.pk


def test_a_message_in_hand_is_not_taken_before_its_time_is_over(settings: Settings) -> None:
    row = write()
    earliest = database_time()
    mine = claim(during=WHILE)
    assert mine is not None
    assert not pending.is_any_due()
    assert claim(during=WHILE) is None
    assert PendingMessage.objects.get().due_at >= earliest + WHILE
    let_time_pass()
    theirs = claim(during=WHILE)  # of a process that died nobody hears
    assert theirs is not None
    assert (mine.tries, theirs.tries) == (1, 2)
    due = PendingMessage.objects.get().due_at
    pending.reschedule(mine, OSError())  # it was not dead, but slow: the message is another's by now
    assert PendingMessage.objects.get(pk=row.pk).due_at == due
    settings.EMAIL_TIMEOUT = 300
    assert sending._longest_hand_over() > timedelta(seconds=4 * 300)


def test_a_take_that_the_database_undoes_sends_nothing(server: MailServer) -> None:
    write()
    back = "UPDATE accounts_pendingmessage SET tries = 0 WHERE id = NEW.id"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"CREATE TRIGGER undoing AFTER UPDATE ON accounts_pendingmessage BEGIN {back}; END")
        else:
            body = (
                "CREATE FUNCTION undoing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.tries = 0; RETURN NEW; END'"
            )
            cursor.execute(body)
            each = "FOR EACH ROW EXECUTE FUNCTION undoing()"
            cursor.execute(f"CREATE TRIGGER undoing BEFORE UPDATE ON accounts_pendingmessage {each}")
    with pytest.raises(UndoneChangeError):
        send_due()
    assert server.taken == []


# --- what somebody else writes there ---

HOSTILE: list[tuple[str, Any]] = [
    *(("content", value) for value in (None, b"", b"\x00", "text", 10**9)),
    *(("what", value) for value in ("", "x" * 64, "\n", 7)),
    *(("tries", value) for value in ("many", 2.5, 32767, b"\x00")),
    *(("due_at", value) for value in ("long ago", 0, "0001-01-01 00:00:00")),
    *(("created_at", value) for value in ("long ago", 0, "9999-12-31 23:59:59.999999")),
]


@pytest.mark.parametrize(("column", "value"), HOSTILE)
def test_a_row_that_somebody_has_written_into_hides_no_other(server: MailServer, column: str, value: Any) -> None:
    row = write("hostile@example.com")
    write("good@example.com")
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f'UPDATE accounts_pendingmessage SET "{column}" = %s WHERE id = %s', [value, row.pk])
    except DatabaseError:
        assert connection.vendor == "postgresql"  # which takes no such value: nobody can have written it
        return
    mailer = Mailer()
    mailer._run_task(mailer._survey)
    assert mailer._run_task(send_all)
    assert server.recipients()[-1:] == ["good@example.com"]
