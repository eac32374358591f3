"""Operators pause and resume keys in bulk, and see on a key's page how it stands."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.contrib.admin.utils import quote
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.models import User
from apikeys import services
from apikeys.models import APIKey
from apikeys.services.rotation import current_secret
from audit.models import Event
from credentials.usage.models import Usage
from tests.accounts.mailbox import forget_messages
from tests.apikeys.verifying import outcome_of
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeKey
from tests.keyportal.operators_desk import desk
from tests.keyportal.test_admin import KEYS, act

__all__ = ["desk"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H6")]


def text_of(answer: Any) -> str:
    """Return the words of a page."""
    return " ".join(unescape(re.sub("<[^>]+>", " ", answer.content.decode())).split())


def page_of(desk: Client, key: APIKey) -> str:
    return text_of(desk.get(f"{KEYS}{quote(key.pk)}/change/", secure=True))


def test_keys_are_paused_in_bulk_after_being_named_once(
    desk: Client,
    make_key: MakeKey,
    time_machine: Any,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    time_machine.move_to(timezone.now(), tick=False)
    (one, secret), (other, _) = make_key(name="one"), make_key(name="other")
    hour = timezone.now() - timedelta(hours=3)
    Usage.objects.create(credential=one.pk, hour=hour, entry_point="api", outcome="accepted", count=1234)
    forget_messages()
    asked = text_of(act(desk, KEYS, "pause_keys", one.pk, other.pk))
    assert f"one ({one.pk}) of dev@example.com: active, 1,234 calls in the last 24 hours" in asked
    assert f"other ({other.pk}) of dev@example.com: active, no calls counted in the last 24 hours" in asked
    assert outcome_of(secret) == "accepted"
    with django_capture_on_commit_callbacks(execute=True):
        answer = act(desk, KEYS, "pause_keys", one.pk, other.pk, reason="abuse", until="24h")
    assert "2 paused." in text_of(answer)
    assert outcome_of(secret) == "paused"
    paused = APIKey.objects.get(pk=one.pk)
    assert (paused.paused_by_operator, paused.paused_reason) == (True, "abuse")
    assert paused.paused_until == timezone.now() + timedelta(hours=24)
    subjects = sorted(message.subject for message in mail.outbox)
    assert subjects == ["[keyportal] Key paused: one", "[keyportal] Key paused: other"]


def test_what_its_owner_paused_becomes_the_operators(desk: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    services.pause(key=key, reason="mine", origin=ORIGIN)
    assert "1 paused." in text_of(act(desk, KEYS, "pause_keys", key.pk, reason=""))
    assert "0 paused." in text_of(act(desk, KEYS, "pause_keys", key.pk, reason="again"))
    paused = APIKey.objects.get()
    assert (paused.paused_by_operator, paused.paused_reason) == (True, "")


@pytest.mark.parametrize(
    ("until", "says"),
    [
        ("tomorrow", "This is not an end. Enter 2027-01-31"),
        ("2027-02-31", "This is not an end."),
        ("2020-01-31", "The end of a pause must be in the future."),
    ],
)
def test_an_end_that_is_none_is_explained_beside_its_field(
    desk: Client, make_key: MakeKey, until: str, says: str
) -> None:
    key, secret = make_key()
    answer = act(desk, KEYS, "pause_keys", key.pk, reason="kept <b>", until=until)
    assert answer.status_code == 400
    assert says in text_of(answer)
    assert 'value="kept &lt;b&gt;"' in answer.content.decode()
    assert outcome_of(secret) == "accepted"


def test_keys_that_an_action_is_not_for_are_skipped_and_said_so(desk: Client, make_key: MakeKey) -> None:
    revoked, expired, active = (
        make_key(name="revoked")[0],
        make_key(name="expired", expires_at=timezone.now() - timedelta(days=1))[0],
        make_key(name="active")[0],
    )
    services.revoke(key=revoked, reason="", origin=ORIGIN)
    page = text_of(act(desk, KEYS, "pause_keys", revoked.pk, expired.pk, active.pk))
    assert "2 skipped: revoked or expired." in page
    assert active.pk in page
    assert revoked.pk not in page
    page = text_of(act(desk, KEYS, "resume_keys", revoked.pk, active.pk))
    assert "2 skipped: not paused." in page
    assert "Resume keys" not in page


def test_a_key_that_is_revoked_meanwhile_does_not_hold_up_the_others(
    desk: Client, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = make_key()[0], make_key()[0]
    services.revoke(key=one, reason="", origin=ORIGIN)
    monkeypatch.setattr(APIKey, "has_ended", False)  # as it was when the operator's request read the rows
    page = text_of(act(desk, KEYS, "pause_keys", one.pk, other.pk, reason="x"))
    assert f"({one.pk}): This key is revoked." in page
    assert "1 paused." in page


def test_resuming_shows_who_paused_and_needs_a_fresh_log_in(log_in: LogIn, operator: User, make_key: MakeKey) -> None:
    (own, _), (key, secret) = make_key(name="own"), make_key(name="theirs")
    services.pause(key=own, reason="holidays", origin=ORIGIN)
    services.pause(key=key, reason="abuse", by_operator=True, origin=ORIGIN)
    stale = log_in(operator, ago=301)
    asked = text_of(act(stale, KEYS, "resume_keys", own.pk, key.pk))
    assert re.search(r"own \(\w+\) of dev@example.com: paused .* UTC by its owner \( ?holidays ?\)", asked)
    assert re.search(r"theirs \(\w+\) of dev@example.com: paused .* UTC by an operator \( ?abuse ?\)", asked)
    form = {"action": "resume_keys", "_selected_action": [key.pk], "confirmed": "on"}
    answer = stale.post(KEYS, form, secure=True)
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert outcome_of(secret) == "paused"
    back = stale.post(answer["Location"], {"password": PASSWORD}, secure=True)
    page = stale.get(back["Location"], secure=True).content.decode()
    assert "Nothing has been done yet. Press the button again." in page
    assert f'name="_selected_action" value="{key.pk}"' in page
    assert outcome_of(secret) == "paused"
    assert "1 resumed." in text_of(stale.post(KEYS, form, secure=True, follow=True))
    assert outcome_of(secret) == "accepted"
    assert Event.objects.get(verb="key_resumed").actor == f"user:{operator.pk}"


def test_a_draft_whose_keys_are_gone_leads_to_the_list(log_in: LogIn, operator: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    services.pause(key=key, origin=ORIGIN)
    stale = log_in(operator, ago=301)
    form = {"action": "resume_keys", "_selected_action": [key.pk], "confirmed": "on"}
    answer = stale.post(KEYS, form, secure=True)
    services.resume(key=key, origin=ORIGIN)
    back = stale.post(answer["Location"], {"password": PASSWORD}, secure=True)
    page = text_of(stale.get(back["Location"], secure=True))
    assert "1 skipped: not paused." in page
    assert "Select API key to" in page


def test_the_page_of_a_key_says_how_it_is_paused(log_in: LogIn, operator: User, make_key: MakeKey) -> None:
    with time_machine.travel("2026-02-03 12:00Z", tick=False) as clock:
        desk, (key, _) = log_in(operator), make_key()
        assert "Pause: not paused" in page_of(desk, key)
        until = timezone.now() + timedelta(hours=1)
        services.pause(key=key, reason="abuse", until=until, by_operator=True, origin=ORIGIN)
        page = page_of(desk, key)
        assert "Since 3 Feb 2026, 12:00 UTC, by an operator Until 3 Feb 2026, 13:00 UTC Reason: abuse" in page
        assert "State: paused" in page
        assert key.pk in desk.get(f"{KEYS}?state=paused", secure=True).content.decode()
        clock.shift(timedelta(hours=1))
        desk = log_in(operator)
        page = page_of(desk, key)
        assert "Until 3 Feb 2026, 13:00 UTC, so it is over" in page
        assert "State: active" in page
        assert key.pk not in desk.get(f"{KEYS}?state=paused", secure=True).content.decode()
        assert key.pk in desk.get(f"{KEYS}?state=active", secure=True).content.decode()


def test_the_page_of_a_key_lists_its_secrets_with_their_ends(log_in: LogIn, operator: User, make_key: MakeKey) -> None:
    with time_machine.travel("2026-02-03 12:00Z", tick=False):
        key, first = make_key()
    hints = [f"kp_live_…{first[-4:]}"]
    for day in (4, 5):
        with time_machine.travel(f"2026-02-0{day} 12:00Z", tick=False):
            overlap = {4: timedelta(hours=1), 5: timedelta(days=7)}[day]
            secret = services.rotate(key=key, replaces=current_secret(key).pk, overlap=overlap, origin=ORIGIN)[1]
            hints.append(f"kp_live_…{secret[-4:]}")
            page = page_of(log_in(operator), key)
    assert f"{hints[2]}, in use since 5 Feb 2026, 12:00 UTC" in page
    assert f"{hints[1]}, replaced, retires on 12 Feb 2026, 12:00 UTC 1 retired" in page
    assert hints[0] not in page
    assert "Version: 3" in page
