"""Owners are told when a former secret that is in use retires soon, and when it was in use until it did."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.message_kinds import MessageKind
from accounts.models import EmailPreference
from apikeys import services
from apikeys.models import APIKey, KeySecret, Notice
from apikeys.services.notices import send_due_notices
from apikeys.services.rotation import current_secret
from tests.accounts.mailbox import forget_messages
from tests.apikeys.notices import DAY, HOUR, remind, text_of_last, use
from tests.conftest import ORIGIN, MakeKey
from tests.tampering import sql

pytestmark = pytest.mark.django_db
SOON = "Former secret in use retires in {}: billing server"
ENDED = "Action needed: a secret in use has retired: billing server"


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    """A clock that stands still until a test moves it."""
    with time_machine.travel("2031-01-01 12:00Z", tick=False) as clock:
        yield clock


@pytest.fixture
def key(make_key: MakeKey) -> APIKey:
    return make_key()[0]


def rotate(key: APIKey, overlap: timedelta) -> KeySecret:
    """Rotate a key; return its former secret."""
    former = current_secret(key)
    services.rotate(key=key, replaces=former.pk, overlap=overlap, origin=ORIGIN)
    forget_messages()
    return KeySecret.objects.get(pk=former.pk)


@pytest.mark.parametrize(
    ("overlap", "lead", "left"),
    [
        (30 * DAY, DAY, "24 hours"),
        (7 * DAY, DAY, "24 hours"),
        (DAY, 2 * HOUR, "2 hours"),
        (8 * HOUR, 2 * HOUR, "2 hours"),
    ],
)
def test_an_owner_is_told_before_the_end_and_at_it(
    key: APIKey, clock: Any, overlap: timedelta, lead: timedelta, left: str
) -> None:
    former = rotate(key, overlap)
    clock.shift(overlap - lead - timedelta(seconds=1))
    use(former)
    assert remind() == []
    clock.shift(timedelta(seconds=1))
    assert remind() + remind() == [SOON.format(left)]
    clock.shift(lead - timedelta(seconds=1))
    use(former)
    assert remind() == []
    clock.shift(timedelta(seconds=1))
    assert remind() + remind() == [ENDED]
    assert set(KeySecret.objects.values_list("notice_at", flat=True)) == {None}


def test_an_overlap_that_is_over_before_a_message_is_read_has_no_notices(key: APIKey, clock: Any) -> None:
    former = rotate(key, HOUR)
    for _ in range(70):
        use(former)
        clock.shift(timedelta(minutes=1))
        assert remind() == []


def test_nothing_is_sent_about_a_secret_that_is_not_in_use(key: APIKey, clock: Any) -> None:
    former = rotate(key, 7 * DAY)
    clock.shift(6 * DAY)
    use(former, timezone.now() - DAY - timedelta(seconds=1))
    use(current_secret(key), calls=99)
    assert remind() == []
    use(former, timezone.now() + 23 * HOUR - timedelta(seconds=1))
    clock.shift(DAY)
    assert remind() == []


def test_a_secret_that_comes_into_use_after_its_notice_is_told_of_at_its_end(key: APIKey, clock: Any) -> None:
    former = rotate(key, 7 * DAY)
    clock.shift(6 * DAY)
    assert remind() == []
    clock.shift(DAY)
    use(former, timezone.now() - HOUR)
    assert remind() == [ENDED]


def test_after_a_pause_of_the_portal_only_the_end_is_told_of(key: APIKey, clock: Any) -> None:
    former = rotate(key, 7 * DAY)
    clock.shift(7 * DAY)
    use(former)
    clock.shift(5 * HOUR)
    assert remind() == [ENDED]
    assert remind() == []


def test_the_messages_say_which_secret_when_how_much_and_what_to_do(key: APIKey, clock: Any) -> None:
    former = rotate(key, 7 * DAY)
    clock.shift(6 * DAY)
    use(former, calls=3)
    use(former, timezone.now() - HOUR, address="192.0.2.9")
    use(former, timezone.now() - 2 * DAY, calls=50, address="192.0.2.10")
    use(current_secret(key), calls=1000)
    remind()
    text = text_of_last()
    assert f"its former secret, {former.hint}, is still in use. It retires in 24 hours" in text
    assert f"Key: billing server ({key.pk}), live Retires: 8 Jan 2031, 12:00 UTC" in text
    assert "It had 3 calls in the last 24 hours from 2 addresses, last accepted on 7 Jan 2031, 12:00 UTC." in text
    assert "Find the servers that still send the former secret" in text
    assert f"https://portal.test/keys/{key.pk}/" in text
    clock.shift(DAY)
    use(former)
    remind()
    text = text_of_last()
    assert f"Its former secret, {former.hint}, was in use until it retired, and calls with it are refused now." in text
    assert "Retired: 8 Jan 2031, 12:00 UTC" in text
    assert f"https://portal.test/keys/{key.pk}/" in text


@pytest.mark.parametrize("end", ["end_overlap", "leak", "revoke", "expire", "pause"])
def test_nothing_is_sent_about_an_overlap_that_no_longer_matters(make_key: MakeKey, clock: Any, end: str) -> None:
    key, _ = make_key(expires_at=timezone.now() + 8 * DAY)
    former = rotate(key, 8 * DAY if end == "expire" else 7 * DAY)
    clock.shift(5 * DAY)
    use(former)
    if end == "end_overlap":
        services.end_overlap(key=key, origin=ORIGIN)
    if end == "leak":
        rotate(key, timedelta(0))
    if end == "revoke":
        services.revoke(key=key, reason="", origin=ORIGIN)
    if end == "pause":
        services.pause(key=key, origin=ORIGIN)
    forget_messages()
    subjects = []
    for _ in range(4):
        clock.shift(DAY)
        use(former)
        subjects += remind()
    assert [subject for subject in subjects if "ecret" in subject] == []
    assert KeySecret.objects.get(pk=former.pk).notice_at is None


@pytest.mark.parametrize(("until", "is_told"), [(2 * HOUR, True), (DAY, False)])
def test_a_pause_that_ends_before_the_overlap_does_not_keep_its_notice(
    key: APIKey, clock: Any, until: timedelta, *, is_told: bool
) -> None:
    former = rotate(key, 7 * DAY)
    clock.shift(6 * DAY)
    use(former)
    services.pause(key=key, until=timezone.now() + until, origin=ORIGIN)
    forget_messages()
    assert bool(remind()) is is_told


def test_each_overlap_has_its_own_notices(key: APIKey, clock: Any) -> None:
    for _ in range(2):
        former = rotate(key, DAY)
        clock.shift(22 * HOUR)
        use(former)
        assert remind() == [SOON.format("2 hours")]
        clock.shift(2 * HOUR)
        assert remind() == []
    assert Notice.objects.count() == 2


def test_an_owner_who_has_switched_reminders_off_is_not_told(key: APIKey, clock: Any) -> None:
    EmailPreference.objects.create(user=key.owner, kind=MessageKind.EXPIRY, wanted=False)
    former = rotate(key, DAY)
    for hours in (22, 2):
        clock.shift(hours * HOUR)
        use(former, timezone.now() - timedelta(minutes=1))
        assert remind() == []


@pytest.mark.security("integrity")
def test_nothing_is_sent_on_the_word_of_a_secret_that_was_tampered_with(key: APIKey, clock: Any) -> None:
    former = rotate(key, 7 * DAY)
    sql("UPDATE apikeys_keysecret SET index_key_id = 'x' WHERE id = %s", former.pk)
    clock.shift(6 * DAY)
    use(former)
    assert remind() == []


def test_a_round_asks_for_the_use_of_many_secrets_in_as_many_queries_as_for_one(
    make_key: MakeKey, clock: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(3):
        rotate(make_key()[0], 7 * DAY)
    clock.shift(6 * DAY)
    # Is any key due, and any secret; the lock, the rows, their use, who is told, what is next; the transaction's own.
    with django_assert_num_queries(10):
        send_due_notices()
