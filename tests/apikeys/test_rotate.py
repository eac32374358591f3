"""Rotating a key: a second secret under the same id, an overlap, and its end."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db import transaction
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from apikeys import services
from apikeys.errors import IntegrityViolationError, KeyEndedError, OverlapError, RotatingError
from apikeys.models import APIKey, KeySecret
from apikeys.services.rotation import current_secret
from apikeys.verification import verify
from audit.models import Event
from credentials.refusals import RefusedError
from tests.accounts.mailbox import forget_messages
from tests.apikeys.verifying import outcome_of
from tests.conftest import ORIGIN, MakeKey

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def rotate(key: APIKey, **options: Any) -> str:
    """Rotate a key as someone who knows its newest secret would, and return the new secret."""
    chosen = {"replaces": current_secret(key).pk, "origin": ORIGIN, **options}
    return services.rotate(key=key, **chosen)[1]


def test_both_secrets_work_during_the_overlap_and_the_new_one_after_it(make_key: MakeKey) -> None:
    key, former = make_key(scopes=[])
    with time_machine.travel(timezone.now(), tick=False) as clock:
        new = rotate(key)
        assert outcome_of(former) == outcome_of(new) == "accepted"
        clock.shift(DAY)
        assert (outcome_of(former), outcome_of(new)) == ("retired", "accepted")
    assert new.startswith("kp_live_")
    assert verify(new, address=None).credential.id == key.pk


def test_without_an_overlap_the_former_secret_is_refused_and_its_ciphertext_destroyed(make_key: MakeKey) -> None:
    key, former = make_key()
    new = rotate(key, overlap=timedelta(0), reason="in a public repository")
    assert (outcome_of(former), outcome_of(new)) == ("retired", "accepted")
    secrets = {secret.is_current: secret for secret in KeySecret.objects.all()}
    assert secrets[False].ciphertext is None
    assert secrets[True].ciphertext is not None
    event = Event.objects.get(verb="key_rotated")
    assert (event.details["overlap"], event.details["reason"]) == (0, "in a public repository")


def test_a_leak_during_an_overlap_ends_all_former_secrets(make_key: MakeKey) -> None:
    key, first = make_key()
    second = rotate(key)
    third = rotate(key, overlap=timedelta(0))
    assert [outcome_of(secret) for secret in (first, second, third)] == ["retired", "retired", "accepted"]


@pytest.mark.security("R-09")
def test_a_key_never_has_three_live_secrets(make_key: MakeKey) -> None:
    key, _ = make_key()
    rotate(key)
    with pytest.raises(RotatingError, match="under way"):
        rotate(key, overlap=timedelta(hours=1))
    assert KeySecret.objects.live().count() == 2


@pytest.mark.security("R-09")
def test_who_knew_another_secret_as_the_current_one_is_told(make_key: MakeKey) -> None:
    key, _ = make_key()
    known = current_secret(key).pk
    rotate(key)
    for overlap in (DAY, timedelta(0)):
        with pytest.raises(RotatingError, match="just been rotated"):
            rotate(key, replaces=known, overlap=overlap)
    assert Event.objects.filter(verb="key_rotated").count() == 1


@pytest.mark.parametrize("days", [-1, 91])
def test_an_overlap_has_bounds(make_key: MakeKey, days: int) -> None:
    key, _ = make_key()
    with pytest.raises(OverlapError):
        rotate(key, overlap=timedelta(days=days))
    rotate(key, overlap=timedelta(days=90))


def test_an_overlap_ends_no_later_than_its_key(make_key: MakeKey) -> None:
    end = timezone.now() + timedelta(hours=2)
    key, _ = make_key(expires_at=end)
    rotate(key, overlap=DAY)
    assert KeySecret.objects.get(replaced_at__isnull=False).retires_at == end


@pytest.mark.parametrize("state", ["revoked", "expired"])
def test_a_key_that_has_ended_is_not_rotated(make_key: MakeKey, state: str) -> None:
    key, _ = make_key(expires_at=timezone.now() - DAY if state == "expired" else None)
    if state == "revoked":
        services.revoke(key=key, reason="", origin=ORIGIN)
    with pytest.raises(KeyEndedError):
        rotate(key)
    assert KeySecret.objects.count() == 1


def test_a_secret_that_was_shown_once_is_replaced_by_one_that_is(make_key: MakeKey) -> None:
    key, _ = make_key(show_once=True)
    rotate(key)
    assert not KeySecret.objects.exclude(ciphertext=None).exists()


def test_the_overlap_is_ended_before_its_time(make_key: MakeKey) -> None:
    key, former = make_key()
    assert services.end_overlap(key=key, origin=ORIGIN) is False
    new = rotate(key, overlap=timedelta(days=30))
    assert services.end_overlap(key=key, origin=ORIGIN) is True
    assert (outcome_of(former), outcome_of(new)) == ("retired", "accepted")
    assert services.end_overlap(key=key, origin=ORIGIN) is False
    assert Event.objects.get(verb="overlap_ended").subject_id == key.pk
    assert outcome_of(rotate(key)) == "accepted"  # after an overlap comes the next rotation


def test_the_owner_is_told_of_a_rotation_and_the_message_holds_no_secret(
    make_key: MakeKey, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    key, former = make_key()
    forget_messages()
    with django_capture_on_commit_callbacks(execute=True):
        new = rotate(key)
    [message] = mail.outbox
    assert message.subject == "[keyportal] Key rotated: billing server"
    assert f"The former secret, kp_live_…{former[-4:]}, works until" in " ".join(str(message.body).split())
    assert new not in str(message.message())


@pytest.mark.security("integrity")
def test_a_key_or_secret_that_was_tampered_with_gets_no_second_secret(make_key: MakeKey) -> None:
    key, _ = make_key()
    for rows, column in ((APIKey.objects, "scopes"), (KeySecret.objects, "index_key_id")):
        with transaction.atomic():
            rows.update(**{column: "x"})
            with pytest.raises(IntegrityViolationError):
                rotate(APIKey.objects.get())
            transaction.set_rollback(True)  # Django's name
    assert KeySecret.objects.count() == 1
    assert key.seal_is_valid()


@pytest.mark.security("R-10")
@pytest.mark.parametrize("is_revoked_first", [True, False])
def test_a_revocation_wins_over_a_rotation_in_both_orders(make_key: MakeKey, *, is_revoked_first: bool) -> None:
    key, former = make_key()
    read = APIKey.objects.get()
    if is_revoked_first:
        services.revoke(key=key, reason="", origin=ORIGIN)
        with pytest.raises(KeyEndedError):
            rotate(read)
    else:
        new = rotate(key)
        services.revoke(key=read, reason="", origin=ORIGIN)
        assert outcome_of(new) == "revoked"
    assert outcome_of(former) == "revoked"
    assert not KeySecret.objects.exclude(ciphertext=None).exists()


def test_retirement_needs_no_write(make_key: MakeKey) -> None:
    key, former = make_key()
    rotate(key, overlap=timedelta(hours=1))
    record = verify(former, address=None)
    assert isinstance(record.retires_at, datetime)
    with time_machine.travel(record.retires_at, tick=False), pytest.raises(RefusedError, match="retired"):
        verify(former, address=None)
