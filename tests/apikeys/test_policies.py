"""What operators allow for the keys of an environment holds in the verbs, whoever calls them."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from apikeys import services
from apikeys.errors import IntegrityViolationError, NotRevealableError, PolicyError, TooManyKeysError
from apikeys.models import APIKey, KeyPolicy, KeySecret
from apikeys.services.policies import policy_of
from apikeys.services.rotation import current_secret
from audit.models import Event
from tests.accounts.mailbox import get, post
from tests.apikeys.key_pages import browser
from tests.apikeys.verifying import outcome_of
from tests.conftest import ORIGIN, MakeKey, MakeUser
from tests.limits import START

__all__ = ["browser"]

pytestmark = pytest.mark.django_db


def set_policy(environment: str = "live", **bounds: Any) -> None:
    services.set_policy(policy=KeyPolicy(environment=environment, **bounds), origin=ORIGIN)


def in_days(days: float) -> Any:
    return timezone.now() + timedelta(days=days)


def edit(key: APIKey, **changes: Any) -> None:
    fields = {"name": key.name, "scopes": key.scope_list, "networks": key.network_list, "expires_at": key.expires_at}
    services.edit_key(key=key, origin=ORIGIN, **{**fields, **changes})


def test_without_a_policy_nothing_is_bounded(make_key: MakeKey) -> None:
    key, _ = make_key()
    assert key.expires_at is None
    assert make_key(expires_at=in_days(30_000))[0].expires_at
    assert services.reveal(secret=key.secrets.get(), origin=ORIGIN)


def test_a_lifetime_is_bounded_at_creation_and_at_every_edit(make_key: MakeKey) -> None:
    before, _ = make_key(expires_at=in_days(400))
    set_policy(max_days=90)
    make_key(expires_at=in_days(90))
    make_key(expires_at=in_days(400), environment="test")
    with pytest.raises(PolicyError, match="at most 90 days"):
        make_key(expires_at=in_days(90.01))
    with pytest.raises(PolicyError, match="at most 90 days"):
        edit(before, expires_at=in_days(100))
    edit(before, name="renamed, and its expiry is as it was")
    edit(before, expires_at=in_days(30))


def test_never_may_be_forbidden_and_a_default_stands_for_no_choice(make_key: MakeKey, time_machine: Any) -> None:
    time_machine.move_to(START, tick=False)
    forever, _ = make_key()
    set_policy(allows_never=False, default_days=30)
    with pytest.raises(PolicyError, match="need an expiry"):
        make_key(expires_at=None)
    key, _ = make_key()
    assert key.expires_at == timezone.now() + timedelta(days=30)
    with pytest.raises(PolicyError, match="need an expiry"):
        edit(key, expires_at=None)
    edit(forever, name="still forever")


def test_an_expiry_in_the_past_is_refused(make_key: MakeKey) -> None:
    key, _ = make_key()
    with pytest.raises(PolicyError, match="in the past"):
        services.create_key(owner=key.owner, name="x", environment="live", expires_at=in_days(-1), origin=ORIGIN)
    with pytest.raises(PolicyError, match="in the past"):
        edit(key, expires_at=in_days(-1))


def test_where_reveal_is_not_allowed_nothing_is_stored_and_nothing_shown(make_key: MakeKey) -> None:
    stored = make_key()[0].secrets.get()
    set_policy(allows_reveal=False)
    with pytest.raises(NotRevealableError):
        services.reveal(secret=stored, origin=ORIGIN)
    assert make_key()[0].secrets.get().ciphertext is None
    services.rotate(key=stored.key, replaces=stored.pk, origin=ORIGIN)
    assert KeySecret.objects.get(key=stored.key, replaced_at=None).ciphertext is None


def test_the_number_of_keys_is_bounded_by_environment(make_key: MakeKey) -> None:
    set_policy(max_keys=2)
    keys = [make_key()[0] for _ in range(2)]
    make_key(environment="test")
    with pytest.raises(TooManyKeysError, match=r"allows 2 live keys, and you have 2\. Revoke one first"):
        make_key()
    services.revoke(key=keys[0], reason="", origin=ORIGIN)
    make_key()
    set_policy(max_keys=1)
    with pytest.raises(TooManyKeysError, match=r"allows 1 live key, and you have 2\. Revoke 2 first"):
        make_key()


def test_a_policy_is_set_and_changed_on_the_record(make_user: MakeUser) -> None:
    set_policy(max_days=90)
    set_policy(max_days=30, default_days=7)
    assert (policy_of("live").max_days, policy_of("live").default_days) == (30, 7)
    assert [event.details["max_days"] for event in Event.objects.filter(verb="policy_changed").order_by("id")] == [
        90,
        30,
    ]


@pytest.mark.security("integrity")
@pytest.mark.parametrize("column", ["max_days", "allows_never", "allows_reveal", "max_keys"])
def test_a_policy_that_was_tampered_with_allows_nothing_until_an_operator_sets_it_again(
    make_key: MakeKey, developer: User, column: str
) -> None:
    set_policy(max_days=90, allows_never=False, default_days=30, allows_reveal=False, max_keys=5)
    KeyPolicy.objects.update(**{column: True if column.startswith("allows") else None})
    with pytest.raises(IntegrityViolationError):
        make_key()
    set_policy(max_days=90)
    make_key()


@pytest.mark.security("integrity")
def test_pages_say_that_a_policy_was_tampered_with_and_a_key_can_still_be_revoked(
    browser: Client, make_key: MakeKey
) -> None:
    key, secret = make_key()
    services.rotate(key=key, replaces=current_secret(key).pk, origin=ORIGIN)
    set_policy(max_days=10, default_days=5)
    KeyPolicy.objects.update(max_days=9000)
    for path in ("/keys/new/", f"/keys/{key.pk}/edit/"):
        page = get(browser, path)
        assert page.status_code == 409
        assert "This policy can't be used at the moment" in page.content.decode()
    page = get(browser, f"/keys/{key.pk}/")
    assert page.status_code == 200
    assert "policy was changed outside the portal" in page.content.decode()
    assert "Reveal" not in page.content.decode()
    sent = {"replaces": current_secret(key).pk, "overlap": "0", "reason": "leaked"}
    post(browser, f"/keys/{key.pk}/rotate/", **sent)
    assert "policy was changed outside" in get(browser, f"/keys/{key.pk}/").content.decode()
    assert KeySecret.objects.filter(key=key).count() == 2
    assert get(browser, f"/keys/{key.pk}/end-overlap/").status_code == 200
    post(browser, f"/keys/{key.pk}/revoke/", confirm="billing server")
    assert outcome_of(secret) == "revoked"
