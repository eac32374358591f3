"""Owners are told before a key expires: 30 days, 7 days and 1 day, once each."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts.message_kinds import MessageKind
from accounts.models import EmailPreference
from accounts.services import deactivate_user, unconfirm_user
from apikeys import services
from apikeys.models import APIKey, Notice
from tests.accounts.mailbox import forget_messages
from tests.apikeys.notices import DAY, HOUR, remind, text_of_last, use
from tests.conftest import ORIGIN, MakeKey, MakeUser
from tests.rows import rewrite
from tests.tampering import sql

pytestmark = pytest.mark.django_db
NAME = "billing server"


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    """A clock that stands still until a test moves it."""
    with time_machine.travel("2031-01-01 12:00Z", tick=False) as clock:
        yield clock


@pytest.fixture
def key(make_key: MakeKey) -> APIKey:
    """A key that expires in 60 days, and whose owner has read all messages."""
    key, _ = make_key(expires_at=in_days(60))
    forget_messages()
    return key


def in_days(days: float) -> datetime:
    return timezone.now() + timedelta(days=days)


def edit(key: APIKey, expires_at: datetime | None) -> None:
    current = APIKey.objects.get(pk=key.pk)
    services.edit_key(key=current, name=NAME, scopes=[], networks=[], expires_at=expires_at, origin=ORIGIN)
    forget_messages()  # of the change itself


def test_each_notice_is_sent_once_on_its_day(key: APIKey, clock: Any) -> None:
    sent = {}
    for day in range(62):
        if subjects := remind() + remind():
            sent[60 - day] = subjects
        clock.shift(DAY)
    assert sent == {
        30: [f"Key expires in 30 days: {NAME}"],
        7: [f"Key expires in 7 days: {NAME}"],
        1: [f"Key expires in 24 hours: {NAME}"],
    }
    assert APIKey.objects.get().notice_at is None


def test_nothing_is_sent_a_moment_too_early(key: APIKey, clock: Any) -> None:
    clock.shift(30 * DAY - timedelta(seconds=1))
    assert remind() == []
    clock.shift(timedelta(seconds=1))
    assert len(remind()) == 1


def test_after_a_pause_of_the_portal_the_newest_notice_is_sent_alone(key: APIKey, clock: Any) -> None:
    clock.shift(56 * DAY)
    assert remind() == [f"Key expires in 4 days: {NAME}"]
    assert Notice.objects.get().kind == "expires_7"
    clock.shift(3 * DAY)
    assert remind() == [f"Key expires in 24 hours: {NAME}"]
    assert remind() == []


@pytest.mark.parametrize(("days", "left"), [(40, [30, 7, 1]), (30, [7, 1]), (10, [7, 1]), (7, [1]), (1, []), (0.5, [])])
def test_a_key_that_lives_shorter_has_fewer_notices(
    make_key: MakeKey, clock: Any, days: float, left: list[int]
) -> None:
    make_key(expires_at=in_days(days))
    forget_messages()
    sent = []
    for hour in range(int(days * 24) + 24):
        sent += [round(days - hour / 24) for _ in remind()]
        clock.shift(HOUR)
    assert sent == left


def test_a_key_in_use_is_told_of_more_loudly_the_closer_its_end_is(key: APIKey, clock: Any) -> None:
    secret = key.secrets.get()
    clock.shift(30 * DAY)
    use(secret)
    assert remind() == [f"Key expires in 30 days: {NAME}"]
    clock.shift(23 * DAY)
    use(secret, in_days(-7), calls=5)
    assert remind() == [f"Action needed: key in use expires in 7 days: {NAME}"]
    clock.shift(6 * DAY)
    use(secret, in_days(-7) - timedelta(seconds=1))
    assert remind() == [f"Key expires in 24 hours: {NAME}"]


def test_the_message_says_what_when_how_much_and_what_to_do(key: APIKey, clock: Any) -> None:
    clock.shift(53 * DAY)
    for number in range(3):
        use(key.secrets.get(), timezone.now() - HOUR, calls=404 if number == 0 else 0, address=f"192.0.2.{number}")
    remind()
    text = text_of_last()
    assert "A key that you use expires in 7 days." in text
    assert f"Key: {NAME} ({key.pk}), live Expires: 2 Mar 2031, 12:00 UTC" in text
    assert "It had 404 calls in the last 24 hours from 3 addresses, last accepted on 23 Feb 2031, 11:00 UTC." in text
    assert "set a later expiry, or replace it on your servers by a new key before then" in text
    assert f"https://portal.test/keys/{key.pk}/" in text
    [(html, _)] = getattr(mail.outbox[-1], "alternatives", [])
    assert f'<a href="https://portal.test/keys/{key.pk}/">' in str(html)
    assert "2 Mar 2031, 12:00 UTC" in str(html)
    assert mail.outbox[-1].to == [key.owner.email]


def test_a_key_that_was_never_used_says_so(key: APIKey, clock: Any) -> None:
    clock.shift(53 * DAY)
    remind()
    assert "A key in your account expires in 7 days." in text_of_last()
    assert "It has never been used." in text_of_last()


def test_another_expiry_makes_other_notices_due(key: APIKey, clock: Any) -> None:
    clock.shift(30 * DAY)
    assert len(remind()) == 1
    edit(key, in_days(29))
    assert remind() == [f"Key expires in 29 days: {NAME}"]
    edit(key, in_days(90))
    assert remind() == []
    clock.shift(60 * DAY)
    assert remind() == [f"Key expires in 30 days: {NAME}"]
    edit(key, None)
    clock.shift(25 * DAY)
    assert remind() == []
    assert APIKey.objects.get().notice_at is None


def test_other_changes_of_a_key_send_nothing_twice(key: APIKey, clock: Any) -> None:
    clock.shift(30 * DAY)
    assert len(remind()) == 1
    services.set_rate_limit(key=APIKey.objects.get(), limit="5/minute", origin=ORIGIN)
    assert remind() == []
    clock.shift(23 * DAY)
    assert len(remind()) == 1


def test_nothing_is_sent_about_a_key_that_is_revoked_or_has_expired(key: APIKey, make_key: MakeKey, clock: Any) -> None:
    make_key(expires_at=in_days(40))
    services.revoke(key=key, reason="", origin=ORIGIN)
    forget_messages()
    clock.shift(41 * DAY)
    assert remind() == []
    assert set(APIKey.objects.values_list("notice_at", flat=True)) == {None}


@pytest.mark.parametrize(("pause", "is_told"), [(None, False), (40, False), (29, True), (1, True)])
def test_nothing_is_sent_about_a_key_that_is_paused_until_it_expires(
    key: APIKey, clock: Any, pause: int | None, *, is_told: bool
) -> None:
    clock.shift(30 * DAY)
    services.pause(key=key, until=None if pause is None else in_days(pause), origin=ORIGIN)
    forget_messages()
    assert bool(remind()) is is_told


def test_a_key_that_is_resumed_gets_the_notice_that_is_due(key: APIKey, clock: Any) -> None:
    services.pause(key=key, origin=ORIGIN)
    clock.shift(55 * DAY)
    assert remind() == []
    services.resume(key=key, origin=ORIGIN)
    forget_messages()
    assert remind() == [f"Key expires in 5 days: {NAME}"]


@pytest.mark.parametrize("take_back", [deactivate_user, unconfirm_user])
def test_an_owner_who_is_inactive_or_not_confirmed_is_not_told(key: APIKey, clock: Any, take_back: Any) -> None:
    take_back(user=key.owner, origin=ORIGIN)
    forget_messages()
    clock.shift(30 * DAY)
    assert remind() == []
    assert not Notice.objects.exists()


def test_an_owner_who_has_switched_reminders_off_is_not_told(
    key: APIKey, make_user: MakeUser, make_key: MakeKey, clock: Any
) -> None:
    make_key(owner=make_user("other@example.com"), name="of another owner", expires_at=in_days(60))
    forget_messages()
    EmailPreference.objects.create(user=key.owner, kind=MessageKind.EXPIRY, wanted=False)
    clock.shift(30 * DAY)
    assert remind() == ["Key expires in 30 days: of another owner"]
    assert "Change which e-mails you get: https://portal.test/account/emails/" in text_of_last()
    EmailPreference.objects.update(wanted=True)
    clock.shift(23 * DAY)
    assert sorted(remind()) == [f"Key expires in 7 days: {NAME}", "Key expires in 7 days: of another owner"]


@pytest.mark.security("integrity")
@pytest.mark.parametrize("row", ["apikeys_apikey SET networks", "accounts_user SET password"])
def test_nothing_is_sent_on_the_word_of_a_row_that_was_tampered_with(key: APIKey, clock: Any, row: str) -> None:
    sql(f"UPDATE {row} = 'x'")
    clock.shift(30 * DAY)
    assert remind() == []


def test_a_row_that_can_not_be_read_holds_up_no_other(
    key: APIKey, make_key: MakeKey, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    make_key(name="other", expires_at=in_days(60))
    forget_messages()
    clock.shift(30 * DAY)
    try:
        with transaction.atomic():
            sql("UPDATE apikeys_apikey SET expires_at = '0000-00-00 00:00:00' WHERE id = %s", key.pk)
    except DatabaseError:
        assert connection.vendor == "postgresql"
        return
    assert remind() == ["Key expires in 30 days: other"]
    assert f"integrity_violation: no notices about rows that can't be read: {key.pk}" in caplog.text
    assert remind() == []


def test_a_library_s_or_a_shell_s_change_of_the_expiry_counts_too(key: APIKey) -> None:
    rewrite(key, created_at=in_days(-100), expires_at=in_days(6))
    assert remind() == [f"Key expires in 6 days: {NAME}"]
