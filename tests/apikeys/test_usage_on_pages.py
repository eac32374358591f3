"""What the pages of keys say of their use."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.services import unconfirm_user
from apikeys import services, usage
from apikeys.models import APIKey
from apikeys.services.rotation import current_secret
from credentials.usage.models import SourceAddress, Usage
from tests.conftest import ORIGIN, MakeKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(log_in: Any, developer: User) -> Client:
    entered: Client = log_in(developer)
    return entered


def page(browser: Client, path: str) -> str:
    answer = browser.get(path, secure=True)
    assert answer.status_code == 200
    return answer.content.decode()


def record_usage(key: APIKey, *, hours_ago: int, outcome: str = "accepted", count: int = 1) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours_ago)
    Usage.objects.create(credential=key.pk, hour=hour, entry_point="api", outcome=outcome, count=count)


def test_an_unused_key_says_so(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    listed, own = page(browser, "/keys/"), page(browser, f"/keys/{key.pk}/")
    assert "No calls yet" in listed
    assert "Never" in listed
    assert "No calls yet" in own
    assert "never used" in own


def test_calls_are_summed_by_day_with_the_refused_ones(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    other, _ = make_key()
    record_usage(key, hours_ago=0, count=1200)
    record_usage(key, hours_ago=72, count=30)
    record_usage(key, hours_ago=72, outcome="expired", count=4)
    record_usage(key, hours_ago=24 * 31, count=999)  # too long ago for the chart
    record_usage(other, hours_ago=1, count=7)
    listed = page(browser, "/keys/")
    assert "1,234 calls in the last 30 days, 4 refused" in listed
    assert "7 calls in the last 30 days, 0 refused" in listed
    own = page(browser, f"/keys/{key.pk}/")
    assert "1,234 calls in the last 30 days, 4 refused" in own
    assert "<dd>1,230</dd>" in own
    assert "<dd>1,200</dd>" in page(browser, f"/keys/{key.pk}/?by=hour")
    assert "/docs/errors/expired/" in own
    assert "1,200 calls in the last 48 hours, 0 refused" in page(browser, f"/keys/{key.pk}/?by=hour")
    assert "No calls in the last 48 hours" not in own


def test_it_names_the_addresses_and_the_last_use_of_each_secret(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    secret = key.secrets.get()
    now = timezone.now()
    for address, ago in (("192.0.2.1", 2), ("2001:db8::7", 90)):
        seen = {"first_at": now - timedelta(days=9), "last_at": now - timedelta(minutes=ago)}
        SourceAddress.objects.create(credential=key.pk, secret=secret.pk, address=address, **seen)
    own = page(browser, f"/keys/{key.pk}/")
    assert own.index("192.0.2.1") < own.index("2001:db8::7")
    assert "last used" in own
    assert "2\xa0minutes ago" in own
    assert "2\xa0minutes ago" in page(browser, "/keys/")


def test_an_address_stands_once_whatever_secrets_were_sent_from_it(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    now = timezone.now()
    for secret, first, last in (("sec_1", 9, 3), ("sec_2", 3, 1)):
        seen = {"first_at": now - timedelta(days=first), "last_at": now - timedelta(days=last)}
        SourceAddress.objects.create(credential=key.pk, secret=secret, address="198.51.100.7", **seen)
    used = usage.source_addresses(key.pk)
    assert used == [("198.51.100.7", now - timedelta(days=9), now - timedelta(days=1))]
    assert page(browser, f"/keys/{key.pk}/").count("198.51.100.7") == 1


def test_the_first_call_is_one_with_the_current_secret(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    former = key.secrets.get()
    SourceAddress.objects.create(
        credential=key.pk, secret=former.pk, address="", first_at=timezone.now(), last_at=timezone.now()
    )
    assert browser.get(f"/keys/{key.pk}/first-call/", secure=True).json() == {"used": True}
    services.rotate(key=key, replaces=former.pk, origin=ORIGIN)
    assert browser.get(f"/keys/{key.pk}/first-call/", secure=True).json() == {"used": False}
    SourceAddress.objects.update(secret=current_secret(key).pk)
    assert browser.get(f"/keys/{key.pk}/first-call/", secure=True).json() == {"used": True}


def test_the_limit_of_a_key_is_told(browser: Client, make_key: MakeKey, settings: Any) -> None:
    key, _ = make_key()
    assert "<dt>Rate limit</dt><dd>None</dd>" in page(browser, f"/keys/{key.pk}/")
    settings.KEYPORTAL_RATE_LIMIT = "60/minute"
    assert "<dd>60/minute, the portal&#x27;s default</dd>" in page(browser, f"/keys/{key.pk}/")
    APIKey.objects.filter(pk=key.pk).update(rate_limit="5/second")
    assert "5/second, set by an operator" in page(browser, f"/keys/{key.pk}/")


def test_operators_find_usage_and_addresses(log_in: Any, operator: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    record_usage(key, hours_ago=1, count=5)
    now = timezone.now()
    SourceAddress.objects.create(credential=key.pk, address="192.0.2.1", first_at=now, last_at=now)
    browser = log_in(operator)
    assert key.pk in page(browser, f"/admin/credentials/usage/?q={key.pk}")
    assert "192.0.2.1" in page(browser, f"/admin/credentials/sourceaddress/?q={key.pk}")
    assert key.pk in page(browser, "/admin/apikeys/apikey/?o=-8")


def test_revoking_a_key_in_use_shows_its_recent_use_and_asks_for_its_name(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key(name="Billing")
    path = f"/keys/{key.pk}/revoke/"

    def revoke(**fields: str) -> int:
        return browser.post(path, fields, secure=True).status_code

    assert "No call with this key has been counted yet." in page(browser, path)
    record_usage(key, hours_ago=2, count=412)
    now = timezone.now()
    for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1"):
        SourceAddress.objects.create(credential=key.pk, secret="sec_1", address=address, first_at=now, last_at=now)
    assert "412 calls in the last 24 hours from 3 addresses" in page(browser, path)
    assert [revoke(typed=""), revoke(typed="Shipping")] == [400, 400]
    assert APIKey.objects.get().revoked_at is None
    assert revoke(typed=" billing ") == 302
    assert APIKey.objects.get().revoked_at is not None


def test_a_key_that_was_not_used_for_a_day_is_revoked_by_one_click(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    record_usage(key, hours_ago=30)
    at = timezone.now() - timedelta(hours=30)
    SourceAddress.objects.create(credential=key.pk, secret="sec_1", address="192.0.2.1", first_at=at, last_at=at)
    assert "No call has been counted in the last 24 hours" in page(browser, f"/keys/{key.pk}/revoke/")
    assert browser.post(f"/keys/{key.pk}/revoke/", {}, secure=True).status_code == 302


@pytest.mark.parametrize(
    ("said", "changes", "calls"),
    [
        ("Active", {}, {}),
        ("Active", {}, {"accepted": 90, "paused": 10}),
        ("Active", {}, {"accepted": 1, "paused": 18}),
        ("Many refusals", {}, {"accepted": 89, "paused": 11}),
        ("Expires soon", {"expires_at": timedelta(days=6), "created_at": timedelta(days=-7)}, {"paused": 11}),
        ("Expired", {"expires_at": timedelta(seconds=-1)}, {}),
        ("Paused", {"paused_at": timedelta(0)}, {}),
        ("Revoked", {"revoked_at": timedelta(0), "paused_at": timedelta(0)}, {}),
        ("Unused", {"created_at": timedelta(days=-31)}, {}),
    ],
)
def test_a_key_s_state_says_what_matters_most(
    browser: Client, make_key: MakeKey, said: str, changes: dict[str, timedelta], calls: dict[str, int]
) -> None:
    key, _ = make_key()
    now = timezone.now()
    APIKey.objects.filter(pk=key.pk).update(**{name: now + ahead for name, ahead in changes.items()})
    for outcome, count in calls.items():
        record_usage(key, hours_ago=1, outcome=outcome, count=count)
    for path in ("/keys/?q=key_", f"/keys/{key.pk}/"):
        assert f'">{said}</span>' in page(browser, path)


def test_what_is_refused_until_the_address_is_confirmed_says_so(
    browser: Client, make_key: MakeKey, developer: User
) -> None:
    key, _ = make_key()
    unconfirm_user(user=developer, origin=ORIGIN)
    for path in ("/keys/", f"/keys/{key.pk}/"):
        assert '">Refused</span>' in page(browser, path)


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (timedelta(minutes=59), "in less than an hour"),
        (timedelta(hours=1, minutes=1), "in 1 hour"),
        (timedelta(hours=47, minutes=1), "in 47 hours"),
        (timedelta(days=2, minutes=1), "in 2 days"),
        (timedelta(days=6, minutes=1), "in 6 days"),
    ],
)
def test_an_expiry_that_is_near_says_how_near(ahead: timedelta, said: str) -> None:
    assert APIKey(expires_at=timezone.now() + ahead).time_left == said
