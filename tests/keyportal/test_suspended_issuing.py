"""While operators have suspended new credentials, no verb issues one, and SQL alone lifts nothing."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import services
from accounts.errors import IssuingSuspendedError, SuspensionEndError
from accounts.issuing import LOOKED_AT, current_suspension
from accounts.models import IssuingState, User
from accounts.suspension import TAMPERED
from apikeys import services as keys
from audit.models import Event
from tests.apikeys.verifying import outcome_of
from tests.conftest import ORIGIN, MakeKey
from tests.keyportal.issuing import USES, issued, uses, verbs
from tests.limits import START
from tests.tampering import sql
from tokens.models import RefreshToken

pytestmark = pytest.mark.django_db
VERBS = ("create_key", "issue_to_key", "issue_to_try", "issue_to_user", "refresh", "reveal", "rotate", "sign_up")


def suspend(**how: Any) -> None:
    services.suspend_issuing(**{"reason": "We look into a leak.", "origin": ORIGIN, **how})


def test_every_use_of_what_makes_a_credential_is_known() -> None:
    assert sorted(uses()) == sorted(USES)
    named = {verb for use in USES.values() for verb in use.split(", ") if verb in VERBS}
    assert named == set(VERBS) - {"sign_up"}  # which makes an account, and no credential


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_issues_while_it_is_suspended_and_each_does_before_and_after(developer: User, verb: str) -> None:
    calls = verbs(developer)
    assert set(calls) == set(VERBS)
    suspend()
    before, events = issued(), Event.objects.count()
    with pytest.raises(IssuingSuspendedError, match="We look into a leak"):
        calls[verb]()
    assert (issued(), Event.objects.count()) == (before, events)
    assert services.resume_issuing(origin=ORIGIN)
    calls[verb]()
    assert Event.objects.count() > events + 1


def test_a_refresh_token_is_not_spent(developer: User) -> None:
    calls = verbs(developer)
    suspend()
    with pytest.raises(IssuingSuspendedError):
        calls["refresh"]()
    assert not RefreshToken.objects.exclude(used_at=None).exists()


def test_a_stolen_refresh_token_still_ends_its_log_in(developer: User, settings: Any) -> None:
    settings.KEYPORTAL_REFRESH_GRACE = 0
    calls = verbs(developer)
    calls["refresh"]()
    suspend()
    with pytest.raises(Exception, match=r"^$"):
        calls["refresh"]()
    assert Event.objects.filter(verb="refresh_reuse").exists()


def test_rotation_may_go_on_and_nothing_else_does(developer: User) -> None:
    calls = verbs(developer)
    suspend(allows_rotation=True)
    calls.pop("rotate")()
    for call in calls.values():
        with pytest.raises(IssuingSuspendedError):
            call()


def test_what_exists_goes_on(make_key: MakeKey) -> None:
    key, secret = make_key()
    keys.rotate(key=key, replaces=key.secrets.get().pk, origin=ORIGIN)
    suspend()
    assert outcome_of(secret) == "accepted"
    assert keys.pause(key=key, origin=ORIGIN)
    assert keys.resume(key=key, origin=ORIGIN)
    assert keys.end_overlap(key=key, origin=ORIGIN)
    assert keys.revoke(key=key, reason="x", origin=ORIGIN)


def test_a_suspension_ends_by_itself(make_key: MakeKey, time_machine: Any) -> None:
    time_machine.move_to(START, tick=False)
    suspend(until=timezone.now() + timedelta(hours=2))
    with pytest.raises(IssuingSuspendedError, match=r"until .* UTC\. We look"):
        make_key()
    time_machine.move_to(START + 7200, tick=False)
    make_key()
    assert not services.resume_issuing(origin=ORIGIN)
    with pytest.raises(SuspensionEndError):
        suspend(until=timezone.now())


def test_each_change_is_recorded_once() -> None:
    assert not services.resume_issuing(origin=ORIGIN)
    suspend()
    suspend()  # that is in force already
    suspend(reason="Still.")
    assert services.resume_issuing(origin=ORIGIN)
    assert not services.resume_issuing(origin=ORIGIN)
    events = Event.objects.filter(subject_type="portal", subject_id="issuing").order_by("pk")
    assert [event.verb for event in events] == ["issuing_suspended", "issuing_suspended", "issuing_resumed"]
    assert [event.details["number"] for event in events] == [1, 2, 3]
    assert events[1].details["reason"] == "Still."


@pytest.mark.security("I-05")
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM accounts_issuingstate",
        "UPDATE accounts_issuingstate SET suspended_at = NULL",
        "UPDATE accounts_issuingstate SET until = '2020-01-01 00:00:00+00:00'",
        "UPDATE accounts_issuingstate SET allows_rotation = NOT allows_rotation",
        "UPDATE accounts_issuingstate SET reason = 'Call 555-0100'",
        "UPDATE accounts_issuingstate SET number = number + 1",
    ],
)
def test_sql_alone_lifts_and_changes_nothing(make_key: MakeKey, statement: str) -> None:
    suspend()
    sql(statement)
    with pytest.raises(IssuingSuspendedError, match="changed outside the portal"):
        make_key()
    assert services.resume_issuing(origin=ORIGIN)
    make_key()


@pytest.mark.security("I-05")
def test_an_older_row_of_the_portal_s_own_lifts_nothing(make_key: MakeKey) -> None:
    suspend()
    services.resume_issuing(origin=ORIGIN)
    lifted = IssuingState.objects.get()
    suspend()
    IssuingState.objects.all().delete()
    IssuingState.objects.bulk_create([lifted])
    with pytest.raises(IssuingSuspendedError, match="changed outside the portal"):
        make_key()


def test_a_forged_event_suspends_nothing_and_a_thousand_do(make_key: MakeKey) -> None:
    """A role that may insert adds events which the portal did not write. They hide none that it did."""

    def forge(count: int) -> None:
        about = {"verb": "issuing_resumed", "actor": "x", "subject_type": "portal", "subject_id": "issuing"}
        far = {"at": timezone.now() + timedelta(days=9999), "details": {"number": 99}}
        Event.objects.bulk_create([Event(seal=b"x", **about, **far) for _ in range(count)])

    forge(1)
    make_key()
    suspend()
    forge(1)
    assert current_suspension() is not None
    assert services.resume_issuing(origin=ORIGIN)
    assert current_suspension() is None
    forge(LOOKED_AT)
    suspension = current_suspension()
    assert suspension is not None
    assert suspension.reason == TAMPERED


def test_a_suspension_is_read_at_each_request_and_by_nobody_without_one() -> None:
    assert current_suspension() is None
    suspend()
    found = current_suspension()
    assert found is not None
    assert (found.reason, found.until, found.retry_after) == ("We look into a leak.", None, 60)
