"""Django's cache in the portal's own table, as libraries use it: what it keeps, for how long, and for whom."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts.models import CacheEntry
from keyportal.purge import purge

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H1")]


def test_an_entry_is_over_in_its_time(time_machine: Any) -> None:
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    cache.set("used-code", "y", timeout=30)
    cache.set("for-ever", "y", timeout=None)
    time_machine.move_to(now + timedelta(seconds=29), tick=False)
    assert cache.get("used-code") == "y"
    time_machine.move_to(now + timedelta(seconds=30), tick=False)
    assert cache.get("used-code") is None
    assert not cache.touch("used-code", 30)
    assert cache.get("for-ever") == "y"


def test_of_two_operators_who_add_the_same_one_succeeds(time_machine: Any) -> None:
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    assert [cache.add("used-code", number, timeout=30) for number in range(3)] == [True, False, False]
    assert cache.get("used-code") == 0
    time_machine.move_to(now + timedelta(seconds=30), tick=False)
    assert cache.add("used-code", 3, timeout=30)


def test_nothing_is_pushed_out_and_what_is_over_is_purged() -> None:
    cache.set("limit", [1], timeout=600)
    for number in range(500):
        cache.set(f"other-{number}", number, timeout=600)
    cache.set("over", 1, timeout=-1)
    assert cache.get("limit") == [1]
    assert purge(by="test")["cache entries"] == 1
    assert CacheEntry.objects.count() == 501
