"""Keys and secrets that were changed in the database, past the portal, are refused as forged."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apikeys import services
from apikeys.models import APIKey, KeySecret
from credentials.scopes.models import Scope
from tests.apikeys.verifying import code_of, good
from tests.conftest import ORIGIN, MakeKey

pytestmark = pytest.mark.django_db


@pytest.mark.security("integrity")
@pytest.mark.parametrize(
    "tamper",
    [
        {"scopes": "reports:read secrets:all"},
        {"expires_at": None},
        {"networks": ""},
        {"networks": "not a network"},
        {"environment": "test"},
        {"seal": b""},
        {"seal": b"\x01\x02s1" + bytes(32)},
    ],
)
def test_a_key_that_was_changed_in_the_database_is_refused_as_forged(
    make_key: MakeKey, scopes: list[Scope], caplog: pytest.LogCaptureFixture, tamper: dict[str, Any]
) -> None:
    key, secret = make_key(
        scopes=["reports:read"], networks=["203.0.113.0/24"], expires_at=timezone.now() + timedelta(days=1)
    )
    assert good(secret)
    APIKey.objects.filter(pk=key.pk).update(**tamper)
    assert code_of(secret) == "invalid_token"
    assert f"integrity_violation: the row seal of {key.pk}" in caplog.text


@pytest.mark.security("integrity")
def test_a_key_moved_to_another_owner_is_refused(make_key: MakeKey, make_user: Any) -> None:
    key, secret = make_key()
    APIKey.objects.filter(pk=key.pk).update(owner=make_user("thief@example.com"))
    assert code_of(secret) == "invalid_token"


@pytest.mark.security("integrity")
def test_a_key_un_revoked_by_hand_is_refused_and_one_revoked_by_hand_is_revoked(make_key: MakeKey) -> None:
    key, secret = make_key()
    APIKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    assert code_of(secret) == "revoked"
    APIKey.objects.filter(pk=key.pk).update(revoked_at=None)
    assert good(secret)
    services.revoke(key=key, reason="", origin=ORIGIN)
    APIKey.objects.filter(pk=key.pk).update(revoked_at=None)
    assert code_of(secret) == "invalid_token"


@pytest.mark.security("integrity")
def test_a_secret_given_to_another_key_or_prolonged_is_refused(make_key: MakeKey) -> None:
    one, secret = make_key(name="one")
    other, _ = make_key(name="other")
    KeySecret.objects.filter(key=one).update(key=other, replaced_at=timezone.now())
    assert code_of(secret) == "invalid_token"
    KeySecret.objects.filter(hint__endswith=secret[-4:]).update(key=one)
    assert code_of(secret) == "invalid_token"  # replaced, when nobody rotated it
    KeySecret.objects.filter(hint__endswith=secret[-4:]).update(replaced_at=None)
    assert good(secret)
    row = KeySecret.objects.get(key=one)
    row.retires_at = timezone.now() - timedelta(days=1)
    row.seal = row.make_seal()
    row.save(update_fields=["retires_at", "seal"])
    KeySecret.objects.filter(pk=row.pk).update(retires_at=None)
    assert code_of(secret) == "invalid_token"


@pytest.mark.security("integrity")
@pytest.mark.finding("F")
def test_a_secret_found_by_the_digest_of_another_is_refused(make_key: MakeKey) -> None:
    """An attacker who writes to the database lets a secret that they know be found where a stronger key is."""
    weak, known = make_key(name="mine")
    strong, _ = make_key(name="theirs")
    own = KeySecret.objects.get(key=weak)
    KeySecret.objects.filter(pk=own.pk).update(digest=bytes(32))
    KeySecret.objects.filter(key=strong).update(digest=own.digest)
    assert code_of(known) == "invalid_token"
    KeySecret.objects.filter(key=strong).update(digest=bytes(31) + b"x")
    KeySecret.objects.filter(pk=own.pk).update(digest=own.digest)
    assert good(known).credential.id == weak.pk
