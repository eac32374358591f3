"""`revokeall`: which keys fit, what is shown, that each is ended as `revoke` does it, and that it can be stopped."""

import io
import json
import signal
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import TestCase
from django.utils import timezone

from accounts.models import User
from apikeys import services
from apikeys.models import APIKey, IdempotentAnswer, KeySecret
from apikeys.selection import KeySelection
from apikeys.services import BulkRevocation, bulk_revocation, revoke_batch
from audit.models import Event
from audit.verify_trail import verify_trail
from credentials.scopes.models import Scope
from credentials.usage.models import SourceAddress, Usage
from integrity.sealed import UndoneChangeError
from tests.accounts.mailbox import forget_messages, messages_to
from tests.apikeys.management import KEYS, Api
from tests.apikeys.verifying import outcome_of
from tests.conftest import ORIGIN, MakeKey, MakeUser
from tests.limits import START
from tests.tampering import sql
from tokens import services as tokens
from vault.rings import new_entry

pytestmark = pytest.mark.django_db
REASON = ("--reason", "the vendor was breached")


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_revocation, "PAUSE", 0)


def run(*arguments: str) -> tuple[str, str]:
    """Run the command; return what it wrote to standard output and to standard error."""
    out, err = io.StringIO(), io.StringIO()
    with TestCase.captureOnCommitCallbacks(execute=True):
        call_command("revokeall", *REASON, *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def fitting(**filters: Any) -> set[str]:
    return set(KeySelection(**filters).keys().values_list("name", flat=True))


def used(key: APIKey, *, days_ago: float, calls: int = 1) -> None:
    at = timezone.now() - timedelta(days=days_ago)
    SourceAddress.objects.create(credential=key.pk, address="192.0.2.1", first_at=at, last_at=at)
    Usage.objects.create(credential=key.pk, hour=at, entry_point="api", outcome="accepted", count=calls)


def aged(key: APIKey, days: float) -> None:
    APIKey.objects.filter(pk=key.pk).update(created_at=timezone.now() - timedelta(days=days))


def test_each_filter_takes_what_it_says_and_all_have_to_fit(
    make_key: MakeKey, make_user: MakeUser, settings: Any
) -> None:
    other = make_user("other@example.com")
    named = {name: make_key(name=name)[0] for name in ("old and used", "old and unused", "old, used long ago")}
    make_key(name="new", environment="test", show_once=True)
    make_key(name="other's", owner=other)
    services.revoke(key=make_key(name="gone")[0], reason="x", origin=ORIGIN)
    for key in named.values():
        aged(key, 100)
    used(named["old and used"], days_ago=1)
    used(named["old, used long ago"], days_ago=50)
    now = timezone.now()
    month = now - timedelta(days=30)
    assert fitting() == {*named, "new", "other's"}
    assert fitting(owner=other) == {"other's"}
    assert fitting(environment="test") == {"new"}
    assert fitting(created_before=month) == set(named)
    assert fitting(created_after=month) == {"new", "other's"}
    assert fitting(used_after=month) == {"old and used"}
    assert fitting(unused_since=month) == {"old and unused", "old, used long ago"}
    assert fitting(unused_since=month, environment="test") == set()
    index_key, sealing_key = (
        text.partition(":")[0] for text in (settings.KEYPORTAL_INDEX_KEYS, settings.KEYPORTAL_SEALING_KEYS)
    )
    assert fitting(index_key=index_key) == fitting()
    assert fitting(sealing_key=sealing_key) == fitting() - {"new"}
    assert (
        fitting(sealing_key=sealing_key[:-1])
        == fitting(sealing_key=sealing_key + "0")
        == fitting(index_key="x")
        == set()
    )


def test_a_retired_secret_does_not_count_for_its_index_key(make_key: MakeKey, settings: Any) -> None:
    key, _ = make_key()
    former = settings.KEYPORTAL_INDEX_KEYS.partition(":")[0]
    settings.KEYPORTAL_INDEX_KEYS = f"{new_entry('next')},{settings.KEYPORTAL_INDEX_KEYS}"
    services.rotate(key=key, replaces=key.secrets.get().pk, origin=ORIGIN)
    assert (len(fitting(index_key=former)), len(fitting(index_key="next"))) == (1, 1)
    services.end_overlap(key=key, origin=ORIGIN)
    assert (len(fitting(index_key=former)), len(fitting(index_key="next"))) == (0, 1)


def test_a_retired_secret_does_not_count_for_its_sealing_key(
    make_key: MakeKey, settings: Any, time_machine: Any
) -> None:
    time_machine.move_to(START, tick=False)
    key, _ = make_key()
    former = settings.KEYPORTAL_SEALING_KEYS.partition(":")[0]
    settings.KEYPORTAL_SEALING_KEYS = f"{new_entry('next')},{settings.KEYPORTAL_SEALING_KEYS}"
    services.rotate(key=key, replaces=key.secrets.get().pk, overlap=timedelta(hours=1), origin=ORIGIN)
    assert (len(fitting(sealing_key=former)), len(fitting(sealing_key="next"))) == (1, 1)
    time_machine.move_to(START + 3601, tick=False)
    assert KeySecret.objects.exclude(ciphertext=None).count() == 2  # the former one is still stored, and worth nothing
    assert (len(fitting(sealing_key=former)), len(fitting(sealing_key="next"))) == (0, 1)


def test_a_dry_run_shows_what_would_stop_and_changes_nothing(make_key: MakeKey, developer: User) -> None:
    key, secret = make_key(name="busy")
    make_key(name="idle")
    used(key, days_ago=0, calls=1234)
    events = Event.objects.count()
    said, _ = run("--everything", "--dry-run")
    assert "2 keys of 1 owner, with 1,234 calls in the last 24 hours." in said
    assert f"1,234 calls  {key.pk}  live  busy (dev@example.com)" in said
    assert "Nothing was revoked" in said
    found = json.loads(run("--owner", developer.email, "--dry-run", "--json")[0])
    assert (found["keys"], found["owners"], found["calls_last_day"], found["revoked"]) == (2, 1, 1234, 0)
    assert [used["id"] for used in found["most_used"]] == [key.pk]
    assert (Event.objects.count(), outcome_of(secret)) == (events, "accepted")


def test_each_key_ends_as_by_revoke_and_the_trail_has_one_event_for_each_and_one_for_all(
    make_key: MakeKey, make_user: MakeUser, scopes: list[Scope]
) -> None:
    other = make_user("other@example.com")
    manager, manages = make_key(name="manager", scopes=["keys:read", "keys:write"])
    Api(manages).post(KEYS, {"name": "made", "environment": "live"}, Idempotency_Key="a")
    kept, goes_on = make_key(name="kept", environment="test")
    _, others = make_key(name="other's", owner=other)
    version = APIKey.objects.get(pk=manager.pk).version
    said, told = run("--environment", "live", "--yes")
    assert "3 revoked." in said
    assert "3 of 3 revoked" in told
    assert [outcome_of(secret) for secret in (manages, goes_on, others)] == ["revoked", "accepted", "revoked"]
    for key in APIKey.objects.exclude(pk=kept.pk):
        assert (key.state, key.revoked_reason, key.seal_is_valid(), key.notice_at) == ("revoked", REASON[1], True, None)
    assert APIKey.objects.get(pk=manager.pk).version == version + 1
    assert KeySecret.objects.exclude(ciphertext=None).count() == 1
    assert IdempotentAnswer.objects.get().content is None
    events = Event.objects.filter(verb="key_revoked")
    assert events.count() == 3
    assert {event.details["reason"] for event in events} == {REASON[1]}
    [bulk] = Event.objects.filter(verb="keys_revoked_in_bulk")
    assert bulk.actor == "command:revokeall"
    assert bulk.details["filters"] == {"environment": "live"}
    assert (bulk.details["revoked"], bulk.details["complete"]) == (3, True)
    assert {event.details["run"] for event in events} == {bulk.subject_id}
    assert all(event.seal_is_valid() for event in Event.objects.all())
    assert verify_trail().is_valid


def test_each_owner_gets_one_message_that_lists_keys(make_key: MakeKey, make_user: MakeUser) -> None:
    other = make_user("other@example.com")
    for number in range(60):
        make_key(name=f"server {number:02}")
    make_key(name="one", owner=other)
    forget_messages()
    run("--everything", "--yes")
    [mine], [theirs] = messages_to("dev@example.com"), messages_to("other@example.com")
    assert [message.subject for message in mail.outbox if message.to == ["other@example.com"]] == [
        "[keyportal] 1 key revoked"
    ]
    assert mine.count("\n- ") == 50
    assert "and 10 more" in mine
    assert "60 keys" in mine
    assert REASON[1] in theirs
    assert "- one (key_" in theirs


def test_without_messages_none_is_sent(make_key: MakeKey) -> None:
    make_key()
    forget_messages()
    run("--everything", "--yes", "--no-messages")
    assert mail.outbox == []


@pytest.mark.parametrize(("typed", "is_revoked"), [("1\n", True), ("2\n", False), ("yes\n", False), ("", False)])
def test_it_asks_for_the_number(
    make_key: MakeKey, monkeypatch: pytest.MonkeyPatch, typed: str, is_revoked: bool
) -> None:
    _, secret = make_key()
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    if is_revoked:
        run("--everything")
    else:
        with pytest.raises(CommandError, match="Nothing was revoked"):
            run("--everything")
    assert (outcome_of(secret) == "revoked") is is_revoked


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "at least one filter"),
        (["--owner", "", "--environment", "live"], "A filter is empty"),
        (["--created-after", ""], "A filter is empty"),
        (["--index-key", "mistyped"], "such a key of the index ring"),
        (["--everything", "--environment", "live"], "goes with no other"),
        (["--owner", "nobody@example.com"], "No account"),
        (["--owner", "usr_x"], "No account"),
        (["--created-before", "yesterday"], "--created-before takes a day"),
        (["--used-after", "2027-01-31T12:00"], "--used-after takes"),
        (["--unused-since", "2027-02-30"], "--unused-since takes"),
    ],
)
def test_what_says_nothing_or_can_not_be_read_is_refused(make_key: MakeKey, arguments: list[str], says: str) -> None:
    _, secret = make_key()
    with pytest.raises(CommandError, match=says):
        run(*arguments, "--yes")
    assert outcome_of(secret) == "accepted"


def test_nothing_that_fits_is_no_error_and_no_event(make_key: MakeKey) -> None:
    make_key()
    assert "0 keys of 0 owners" in run("--environment", "test", "--yes")[0]
    assert not Event.objects.filter(verb="keys_revoked_in_bulk").exists()


@pytest.mark.parametrize("per_batch", [1, 2, 3, 100])
def test_batches_leave_no_key_out_and_keep_owners_whole(
    make_key: MakeKey, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch, per_batch: int
) -> None:
    monkeypatch.setattr(bulk_revocation, "BATCH", per_batch)
    owners = [make_user(f"{number}@example.com") for number in range(3)]
    for owner in owners:
        make_key(owner=owner)
        make_key(owner=owner)
    forget_messages()
    bulk = BulkRevocation(selection=KeySelection(), reason="x", origin=ORIGIN)
    with TestCase.captureOnCommitCallbacks(execute=True):
        assert sum(bulk.run()) == 6
    assert not APIKey.objects.filter(revoked_at=None).exists()
    assert len(mail.outbox) == (6 if per_batch == 1 else 3)


def test_a_signal_stops_it_between_batches_and_running_it_again_goes_on(
    make_key: MakeKey, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_revocation, "BATCH", 1)
    for _ in range(3):
        make_key(owner=make_user())

    def stop_meanwhile(**batch: Any) -> int:
        signal.raise_signal(signal.SIGTERM)
        return revoke_batch(**batch)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patched:
        patched.setattr(bulk_revocation, "revoke_batch", stop_meanwhile)
        with pytest.raises(CommandError, match=r"Stopped: 1 of 3 revoked\. Run the same command again to go on\."):
            run("--everything", "--yes")
    assert signal.getsignal(signal.SIGTERM) == before
    [stopped] = Event.objects.filter(verb="keys_revoked_in_bulk")
    assert (stopped.details["revoked"], stopped.details["complete"]) == (1, False)
    assert "2 revoked." in run("--everything", "--yes")[0]
    assert Event.objects.filter(verb="key_revoked").count() == 3


def test_a_key_that_its_owner_revokes_meanwhile_is_revoked_and_recorded_once(make_key: MakeKey) -> None:
    key, _ = make_key()
    later, _ = make_key()
    services.revoke(key=key, reason="by its owner", origin=ORIGIN)
    batch: dict[str, Any] = {
        "keys": [key.pk, later.pk],
        "reason": "x",
        "notifies": True,
        "run": "run_x",
        "origin": ORIGIN,
    }
    assert revoke_batch(**batch) == 1
    assert revoke_batch(**batch) == 0
    assert APIKey.objects.get(pk=key.pk).revoked_reason == "by its owner"
    assert Event.objects.filter(verb="key_revoked", subject_id=key.pk).count() == 1


def test_a_key_that_was_changed_outside_the_portal_is_revoked_too(make_key: MakeKey) -> None:
    key, _ = make_key()
    APIKey.objects.update(scopes="everything:all", version=7)
    run("--everything", "--yes")
    key.refresh_from_db()
    assert (key.state, key.seal_is_valid(), key.version) == ("revoked", True, 8)


@pytest.mark.once
def test_a_row_that_can_not_be_read_hides_no_other(make_key: MakeKey) -> None:
    broken, _ = make_key()
    _, secret = make_key()
    sql(f"UPDATE apikeys_apikey SET created_at = 'never' WHERE id = '{broken.pk}'")
    run("--environment", "live", "--yes")
    assert outcome_of(secret) == "revoked"


def test_a_change_that_the_database_undoes_is_an_error_and_nothing_of_its_batch_stays(
    make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = make_key()

    def confirm(rows: Any, **how: Any) -> None:
        raise UndoneChangeError("undone")

    monkeypatch.setattr(bulk_revocation, "confirm_rows", confirm)
    with pytest.raises(UndoneChangeError):
        run("--everything", "--yes")
    assert outcome_of(secret) == "accepted"
    assert Event.objects.get(verb="keys_revoked_in_bulk").details["complete"] is False


def test_log_ins_of_the_owners_end_as_well_if_that_is_asked_for(make_key: MakeKey, make_user: MakeUser) -> None:
    other = make_user("other@example.com")
    owner = make_key()[0].owner
    pairs = [tokens.issue_to_user(user=user, scopes=(), agent="app", origin=ORIGIN) for user in (owner, other)]
    epochs = [(user.auth_epoch, user.session_epoch) for user in (owner, other)]
    run("--everything", "--yes", "--also-logins")
    after = [User.objects.get(pk=user.pk) for user in (owner, other)]
    assert (after[0].auth_epoch, after[0].session_epoch) == (epochs[0][0] + 1, epochs[0][1] + 1)
    assert (after[1].auth_epoch, after[1].session_epoch) == epochs[1]  # who has no key that fits
    assert [tokens.redeemable(pair.refresh_token or "") is None for pair in pairs] == [True, False]
    assert Event.objects.filter(verb="signed_out_everywhere", subject_id=owner.pk).count() == 1
