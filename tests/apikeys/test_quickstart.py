"""The quickstart: four steps, with the reader's own key where there is one, and no secret."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apikeys import services
from credentials.usage.models import SourceAddress
from tests.accounts.mailbox import get
from tests.apikeys.key_pages import browser, secrets_in
from tests.conftest import ORIGIN, MakeKey, MakeUser

__all__ = ["browser"]

pytestmark = pytest.mark.django_db


def test_a_stranger_is_led_to_sign_up(client: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    page = get(client, "/quickstart/").content.decode()
    assert "/accounts/signup/" in page
    assert "/accounts/login/?next=/quickstart/" in page
    assert key.pk not in page


def test_a_developer_without_a_key_creates_one(browser: Client, make_user: MakeUser, make_key: MakeKey) -> None:
    make_key(owner=make_user("other@example.com"))
    services.revoke(key=make_key()[0], reason="", origin=ORIGIN)
    make_key(expires_at=timezone.now() - timedelta(days=1))
    page = get(browser, "/quickstart/").content.decode()
    assert "/keys/new/?name=quickstart" in page
    assert "key_" not in page


def test_the_newest_key_that_works_is_filled_in_and_waited_for(browser: Client, make_key: MakeKey) -> None:
    make_key(name="older")
    key, secret = make_key(name="newest")
    page = get(browser, "/quickstart/")
    text = page.content.decode()
    assert key.pk in text
    assert f"kp_live_…{secret[-4:]}" in text
    assert f'data-first-call="/keys/{key.pk}/first-call/"' in text
    assert "Bearer $API_KEY" in text
    assert not secrets_in(page)
    now = timezone.now()
    SourceAddress.objects.create(credential=key.pk, secret="sec_1", address="192.0.2.1", first_at=now, last_at=now)
    assert "Your key was used" in get(browser, "/quickstart/").content.decode()
