"""Pausing a key, with a reason and perhaps an end, and resuming it."""

from datetime import datetime, timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.times import rfc3339
from apikeys import services
from apikeys.errors import KeyEndedError, PausedByOperatorError, PolicyError
from apikeys.models import APIKey
from apikeys.verification import verify
from audit.models import Event
from credentials.refusals import RefusedError
from tests.accounts.mailbox import forget_messages
from tests.apikeys.verifying import outcome_of
from tests.conftest import ORIGIN, MakeKey
from tests.limits import START

pytestmark = pytest.mark.django_db


def test_a_paused_key_is_refused_says_why_and_works_again_when_it_is_resumed(make_key: MakeKey) -> None:
    key, secret = make_key()
    until = timezone.now() + timedelta(hours=3)
    assert services.pause(key=key, reason="looking into it", until=until, origin=ORIGIN) is True
    with pytest.raises(RefusedError) as refused:
        verify(secret, address=None)
    about = dict(refused.value.refusal.about)
    assert about.pop("at")
    assert about == {"key": key.pk, "name": key.name, "until": rfc3339(until), "reason": "looking into it"}
    assert services.resume(key=key, origin=ORIGIN) is True
    assert outcome_of(secret) == "accepted"
    assert [event.verb for event in Event.objects.order_by("id")][-2:] == ["key_paused", "key_resumed"]


def test_a_pause_with_an_end_is_over_without_a_write(make_key: MakeKey) -> None:
    key, secret = make_key()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        services.pause(key=key, until=timezone.now() + timedelta(hours=1), origin=ORIGIN)
        assert (outcome_of(secret), APIKey.objects.get().state) == ("paused", "paused")
        assert APIKey.objects.in_state("paused").count() == 1
        clock.shift(timedelta(hours=1))
        assert (outcome_of(secret), APIKey.objects.get().state) == ("accepted", "active")
        assert APIKey.objects.in_state("active").count() == 1
        assert services.resume(key=key, origin=ORIGIN) is False


def test_both_are_repeated_without_effect(make_key: MakeKey) -> None:
    key, _ = make_key()
    assert services.resume(key=key, origin=ORIGIN) is False
    services.pause(key=key, reason="first", origin=ORIGIN)
    assert services.pause(key=key, reason="second", origin=ORIGIN) is False
    assert APIKey.objects.get().paused_reason == "first"
    assert Event.objects.filter(verb="key_paused").count() == 1


def test_what_an_operator_paused_only_an_operator_resumes(make_key: MakeKey) -> None:
    key, secret = make_key()
    services.pause(key=key, reason="mine", origin=ORIGIN)
    assert services.pause(key=key, reason="abuse", by_operator=True, origin=ORIGIN) is True
    assert services.pause(key=key, reason="mine", origin=ORIGIN) is False
    with pytest.raises(PausedByOperatorError):
        services.resume(key=key, origin=ORIGIN)
    assert outcome_of(secret) == "paused"
    assert services.resume(key=key, by_operator=True, origin=ORIGIN) is True
    assert outcome_of(secret) == "accepted"


@pytest.mark.parametrize("state", ["revoked", "expired"])
def test_a_key_that_has_ended_is_neither_paused_nor_resumed(make_key: MakeKey, state: str) -> None:
    key, _ = make_key(expires_at=timezone.now() - timedelta(days=1) if state == "expired" else None)
    if state == "revoked":
        services.revoke(key=key, reason="", origin=ORIGIN)
    for verb in (services.pause, services.resume):
        with pytest.raises(KeyEndedError):
            verb(key=key, origin=ORIGIN)


def test_a_pause_does_not_end_in_the_past(make_key: MakeKey) -> None:
    key, secret = make_key()
    with pytest.raises(PolicyError):
        services.pause(key=key, until=timezone.now(), origin=ORIGIN)
    assert outcome_of(secret) == "accepted"


def test_the_owner_is_told_of_both(
    make_key: MakeKey, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    key, _ = make_key()
    forget_messages()
    with django_capture_on_commit_callbacks(execute=True):
        services.pause(key=key, reason="incident 7", origin=ORIGIN)
        services.resume(key=key, origin=ORIGIN)
    paused, resumed = mail.outbox
    assert paused.subject == "[keyportal] Key paused: billing server"
    assert "Reason: incident 7" in str(paused.body)
    assert resumed.subject == "[keyportal] Key resumed: billing server"
    assert "incident" not in str(resumed.body)


def test_a_message_about_the_end_of_a_paused_key_says_nothing_of_its_pause(
    make_key: MakeKey, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    key, _ = make_key()
    services.pause(key=key, reason="incident 7", until=timezone.now() + timedelta(hours=2), origin=ORIGIN)
    forget_messages()
    with django_capture_on_commit_callbacks(execute=True):
        services.revoke(key=key, reason="server shut down", origin=ORIGIN)
    text = str(mail.outbox[0].body)
    assert "Reason: server shut down" in text
    assert "incident" not in text
    assert "Until" not in text


@pytest.mark.parametrize(("owner", "operator", "end"), [(None, 1, None), (3, 1, 3), (1, 3, 3), (1, None, None)])
def test_a_pause_of_an_operator_ends_no_earlier_than_the_owner_s(
    make_key: MakeKey, owner: int | None, operator: int | None, end: int | None
) -> None:
    with time_machine.travel(START, tick=False) as clock:
        key, secret = make_key()
        until: dict[int | None, datetime | None] = {None: None}
        until |= {hours: timezone.now() + timedelta(hours=hours) for hours in (1, 3)}
        services.pause(key=key, until=until[owner], origin=ORIGIN)
        assert services.pause(key=key, until=until[operator], by_operator=True, origin=ORIGIN)
        key.refresh_from_db()
        assert (key.paused_until, key.paused_by_operator) == (until[end], True)
        told = until[end]
        details = Event.objects.filter(verb="key_paused").latest("id").details
        assert details["until"] == (told.isoformat() if told else None)
        clock.shift(timedelta(hours=end or 100) - timedelta(seconds=1))
        assert outcome_of(secret) == "paused"
        clock.shift(timedelta(seconds=1))
        assert outcome_of(secret) == ("accepted" if end else "paused")
