"""Keys in the security history of their owner: whoever did something with them."""

import pytest
from django.test import Client

from accounts.models import User
from apikeys import services
from apikeys.services.rotation import current_secret
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from tests.accounts.mailbox import get
from tests.apikeys.key_pages import browser
from tests.conftest import ORIGIN, MakeKey, MakeUser

__all__ = ["browser"]

pytestmark = pytest.mark.django_db


def history(browser: Client) -> str:
    return " ".join(get(browser, "/account/history/").content.decode().split())


def test_what_a_program_or_an_operator_does_with_a_key_is_in_its_owner_s_history(
    browser: Client, make_key: MakeKey
) -> None:
    manager, _ = make_key()
    key, _ = make_key(origin=Origin(actor=f"key:{manager.pk}", address="192.0.2.9"))
    services.rotate(key=key, replaces=current_secret(key).pk, origin=Origin(actor=f"key:{key.pk}", address=None))
    services.pause(key=key, by_operator=True, origin=Origin(actor="command:pausekey", address=None))
    shown = history(browser)
    assert shown.count(f'href="/keys/{key.pk}/"') == 3
    for words in ("Key created", f"with the key {manager.pk}", "Key rotated", f"with the key {key.pk}", "Key paused"):
        assert words in shown
    assert "by an operator at the command line" in shown


def test_nothing_stands_there_twice_and_nothing_of_others(
    browser: Client, make_key: MakeKey, make_user: MakeUser, developer: User
) -> None:
    mine, _ = make_key(origin=Origin(actor=f"user:{developer.pk}", address=None))
    theirs, _ = make_key(owner=make_user("other@example.com"), origin=ORIGIN)
    for _ in range(3):
        record_event(EventType.TOKEN_ISSUED, subject=f"key:{mine.pk}", origin=Origin(actor=f"key:{mine.pk}"))
    shown = history(browser)
    assert shown.count(f'href="/keys/{mine.pk}/"') == 1
    assert theirs.pk not in shown


def test_the_newest_stand_first_and_25_on_a_page(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    for _ in range(26):
        record_event(EventType.KEY_REVEALED, subject=f"key:{key.pk}", origin=Origin(actor=f"key:{key.pk}"))
    assert history(browser).count("Secret revealed") == 25
    assert "Key created" in get(browser, "/account/history/?page=2").content.decode()
