"""Showing a secret again, changing a key, ending it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import User
from apikeys import services
from apikeys.errors import (
    ChangedMeanwhileError,
    IntegrityViolationError,
    KeyEndedError,
    NotRevealableError,
    ScopeNotAllowedError,
)
from apikeys.models import APIKey, KeySecret
from apikeys.verification import verify
from audit.models import Event
from credentials.scopes.models import Scope
from tests.accounts.mailbox import forget_messages
from tests.conftest import ORIGIN, MakeKey, MakeUser
from tests.tampering import sql

pytestmark = pytest.mark.django_db


def edit(key: APIKey, **changes: Any) -> APIKey:
    fields = {"name": key.name, "scopes": key.scope_list, "networks": key.network_list, "expires_at": key.expires_at}
    return services.edit_key(key=key, origin=ORIGIN, **{**fields, **changes})


def test_a_secret_is_shown_again_on_the_record_and_its_owner_is_told(
    make_key: MakeKey, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    key, secret = make_key()
    with django_capture_on_commit_callbacks(execute=True):
        assert services.reveal(secret=KeySecret.objects.get(), origin=ORIGIN) == secret
    event = Event.objects.get(verb="key_revealed")
    assert (event.subject_id, event.details) == (key.pk, {"secret": f"kp_live_…{secret[-4:]}"})
    assert "revealed" in mail.outbox[-1].subject
    assert secret not in str(mail.outbox[-1].message())


def test_nothing_is_revealed_of_a_show_once_key_a_revoked_key_or_a_portal_that_reveals_nothing(
    make_key: MakeKey, settings: Settings
) -> None:
    make_key(show_once=True)
    with pytest.raises(NotRevealableError):
        services.reveal(secret=KeySecret.objects.get(), origin=ORIGIN)
    key, _ = make_key()
    settings.KEYPORTAL_REVEAL = "once"
    with pytest.raises(NotRevealableError):
        services.reveal(secret=key.secrets.get(), origin=ORIGIN)
    settings.KEYPORTAL_REVEAL = "reauth"
    services.revoke(key=key, reason="", origin=ORIGIN)
    with pytest.raises(NotRevealableError):
        services.reveal(secret=key.secrets.get(), origin=ORIGIN)
    assert not Event.objects.filter(verb="key_revealed").exists()


@pytest.mark.security("K-02")
def test_a_ciphertext_from_another_row_does_not_open(make_key: MakeKey, caplog: pytest.LogCaptureFixture) -> None:
    one, _ = make_key(name="one")
    other, secret = make_key(name="other")
    KeySecret.objects.filter(key=one).update(ciphertext=other.secrets.get().ciphertext)
    with pytest.raises(IntegrityViolationError):
        services.reveal(secret=one.secrets.get(), origin=ORIGIN)
    assert f"integrity_violation: the ciphertext of {one.pk}" in caplog.text
    assert secret not in caplog.text


@pytest.mark.security("K-02")
@pytest.mark.finding("F")
def test_a_ciphertext_opens_in_no_other_row_of_its_own_key(make_key: MakeKey) -> None:
    """A key that is being rotated has two secrets: the page of one must not show the other."""
    key, secret = make_key()
    row = key.secrets.get()
    other = KeySecret(key=key, digest=bytes(32), index_key_id=row.index_key_id, hint="x", ciphertext=row.ciphertext)
    other.replaced_at = timezone.now()
    other.seal = other.make_seal()
    other.save(force_insert=True)
    assert services.reveal(secret=row, origin=ORIGIN) == secret
    with pytest.raises(IntegrityViolationError):
        services.reveal(secret=other, origin=ORIGIN)


@pytest.mark.security("K-02")
@pytest.mark.finding("F")
@pytest.mark.parametrize("moved", ["owner", "environment", "key"])
def test_a_ciphertext_opens_for_no_other_owner_environment_or_key(
    log_in: Callable[[User], Client], make_user: MakeUser, make_key: MakeKey, moved: str
) -> None:
    """An attacker who writes to the database moves a key to their own account, where its page would show the secret."""
    key, secret = make_key()
    reader = make_user("reader@example.com") if moved == "owner" else key.owner
    row = key.secrets.get()
    if moved == "key":
        KeySecret.objects.filter(pk=row.pk).update(key=make_key(name="another")[0], replaced_at=timezone.now())
    else:
        APIKey.objects.filter(pk=key.pk).update(**{moved: reader if moved == "owner" else "test"})
    row.refresh_from_db()
    with pytest.raises(IntegrityViolationError):
        services.reveal(secret=KeySecret.objects.get(pk=row.pk), origin=ORIGIN)
    page = log_in(reader).post(f"/keys/{row.key_id}/secrets/{row.pk}/reveal/", secure=True)
    assert secret not in page.content.decode()


def test_revoking_ends_the_key_shreds_its_ciphertext_and_keeps_its_digest(make_key: MakeKey) -> None:
    key, _ = make_key()
    assert services.revoke(key=key, reason="leaked", origin=ORIGIN) is True
    row = KeySecret.objects.get()
    assert row.ciphertext is None
    assert len(bytes(row.digest)) == 32
    revoked = APIKey.objects.get()
    assert (revoked.state, revoked.revoked_reason) == ("revoked", "leaked")
    assert Event.objects.get(verb="key_revoked").details == {"reason": "leaked"}


def test_revoking_twice_is_one_revocation(make_key: MakeKey) -> None:
    key, _ = make_key()
    stale = APIKey.objects.get()
    assert services.revoke(key=key, reason="first", origin=ORIGIN) is True
    first = APIKey.objects.get()
    assert services.revoke(key=stale, reason="second", origin=ORIGIN) is False
    assert (APIKey.objects.get().revoked_at, APIKey.objects.get().revoked_reason) == (first.revoked_at, "first")
    assert Event.objects.filter(verb="key_revoked").count() == 1


@pytest.mark.parametrize("change", ["networks = 'nonsense'", "seal = 'x'"])
def test_a_key_that_was_tampered_with_can_still_be_revoked(make_key: MakeKey, change: str) -> None:
    key, _ = make_key()
    sql(f"UPDATE apikeys_apikey SET {change}")
    assert services.revoke(key=key, reason="", origin=ORIGIN) is True
    assert APIKey.objects.get().revoked_at


def test_an_edit_changes_what_may_be_changed_from_the_next_request_on(make_key: MakeKey, scopes: list[Scope]) -> None:
    key, secret = make_key(scopes=["reports:read"])
    edit(key, name="renamed", scopes=["reports:write"])
    record = verify(secret, address=None)
    assert record.credential.name == "renamed"
    assert record.credential.scopes == {"reports:write"}
    assert Event.objects.get(verb="key_edited").details == {"changed": ["name", "scopes"], "widened": ["scopes"]}


def test_a_granted_scope_is_kept_or_dropped_but_not_taken(make_key: MakeKey, scopes: list[Scope]) -> None:
    key, _ = make_key(scopes=["secrets:all"], restricted=True)
    edit(key, name="kept")
    edit(key, scopes=[])
    with pytest.raises(ScopeNotAllowedError):
        edit(key, scopes=["secrets:all"])


def test_of_two_edits_of_the_same_page_the_second_is_told(make_key: MakeKey) -> None:
    make_key()
    one, other = APIKey.objects.get(), APIKey.objects.get()
    edit(one, networks=["203.0.113.0/24"])
    with pytest.raises(ChangedMeanwhileError):
        edit(other, networks=["198.51.100.0/24"])
    assert APIKey.objects.get().networks == "203.0.113.0/24"


def test_a_revoked_key_is_not_edited_not_even_from_a_page_opened_before(make_key: MakeKey) -> None:
    make_key()
    stale = APIKey.objects.get()
    services.revoke(key=APIKey.objects.get(), reason="", origin=ORIGIN)
    with pytest.raises(ChangedMeanwhileError):
        edit(stale, name="alive again")
    with pytest.raises(KeyEndedError):
        edit(APIKey.objects.get(), name="alive again")
    assert APIKey.objects.get().revoked_at


@pytest.mark.security("integrity")
def test_an_edit_does_not_make_a_tampered_row_good_again(make_key: MakeKey, scopes: list[Scope]) -> None:
    make_key()
    APIKey.objects.update(scopes="secrets:all")
    with pytest.raises(IntegrityViolationError):
        edit(APIKey.objects.get(), name="washed", scopes=["secrets:all"])


def test_the_owner_is_told_who_ended_a_key_and_an_operator_s_address_is_nobody_s_business(
    make_key: MakeKey, operator: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    for by_operator, actor in ((False, None), (True, f"user:{operator.pk}"), (True, "command:revokekey")):
        key, _ = make_key()
        forget_messages()
        origin = replace(ORIGIN, actor=actor or f"user:{key.owner_id}")
        with django_capture_on_commit_callbacks(execute=True):
            services.revoke(key=key, reason="incident 42", origin=origin)
        [message] = mail.outbox
        assert isinstance(message, EmailMultiAlternatives)
        for text in (str(message.body), str(message.alternatives[0][0])):
            assert ("By: the portal's operators" in text.replace("&#x27;", "'")) is by_operator
            assert ("192.0.2.1" in text) is not by_operator
            assert ("If this wasn't you" in text) is not by_operator
            assert "incident 42" in text


@pytest.mark.security("L-04")
def test_what_can_not_be_recorded_is_not_done(make_key: MakeKey, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the trail can't be written")

    key, secret = make_key()
    with monkeypatch.context() as trail:
        for module in ("revealing", "revocation"):
            trail.setattr(f"apikeys.services.{module}.record_event", broken)
        with pytest.raises(RuntimeError):
            services.reveal(secret=KeySecret.objects.get(), origin=ORIGIN)
        with pytest.raises(RuntimeError):
            services.revoke(key=key, reason="", origin=ORIGIN)
    assert verify(secret, address=None).credential.id == key.pk
    assert services.reveal(secret=KeySecret.objects.get(), origin=ORIGIN) == secret
