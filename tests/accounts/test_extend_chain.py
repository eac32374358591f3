"""The chain is extended: by default, once for all workers, in batches, whatever was planted beside it."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from pytest_django import Settings

from audit import chain
from audit.chain import extend_chain, extend_when_due
from audit.models import ChainLink, Event
from audit.verify_trail import verify_trail
from tests.accounts.trail import chained, ids_in, plant, unguarded, without_chain, write
from tests.settings_reader import read_settings

__all__ = ["chained", "without_chain"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H15"), pytest.mark.usefixtures("without_chain")]
FIELDS = [field.attname for field in Event._meta.concrete_fields if field.attname not in ("id", "seal")]


def test_by_default_there_is_a_chain() -> None:
    assert read_settings().option("KEYPORTAL_AUDIT_CHAIN") is True


def test_planted_events_keep_no_other_from_being_chained(chained: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    """With ids by which the chain could seem to reach further than it does, and more of them than it reads."""
    monkeypatch.setattr(chain, "BATCH", 4)
    monkeypatch.setattr(chain, "MAX_LATE_IDS", 3)
    old = {"at": chained[0].at, "verb": "x", "actor": "x", "subject_type": "x", "subject_id": "x"}
    for number in (*range(50_000, 50_020), 2**63 - 1):
        plant(Event, id=number, **old)
    later = [Event(**{name: getattr(chained[0], name) for name in FIELDS}, pk=n) for n in (49_999, 60_000)]
    for event in later:
        event.seal = event.make_seal()
        event.save(force_insert=True)
        extend_now_and_then_until_done()
    with unguarded():
        Event.objects.filter(pk__in=[event.pk for event in later]).delete()
    assert ids_in(verify_trail().removed) == {event.pk for event in later}


def extend_now_and_then_until_done() -> None:
    for _ in range(100):
        if not extend_chain():
            return
    raise AssertionError("the chain never comes to an end")


def test_planted_links_do_not_stop_the_chain(chained: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than are read: the same events would be chained over and over."""
    monkeypatch.setattr(chain, "RECENT_LINKS", 5)
    at = datetime.now(UTC) + timedelta(days=1)
    for number in range(100, 120):
        plant(ChainLink, number=number, at=at, ids="1", reach=1, digest=b"")
    event = write()
    assert extend_chain() == 1
    assert extend_chain() == 0
    assert ChainLink.objects.get(number=4).ids == str(event.pk)


def test_a_planted_link_of_tomorrow_keeps_no_worker_from_extending(settings: Settings) -> None:
    settings.KEYPORTAL_AUDIT_CHAIN = True
    write()
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1)):
        extend_chain()
    at = datetime.now(UTC) + timedelta(days=1)
    plant(ChainLink, number=77, at=at, ids="1", reach=1, digest=b"")
    event = write()
    extend_when_due()
    assert ChainLink.objects.get(number=2).ids == str(event.pk)


def test_without_the_setting_nothing_is_chained(settings: Settings) -> None:
    write()
    extend_when_due()
    assert not ChainLink.objects.exists()
    settings.KEYPORTAL_AUDIT_CHAIN = True
    extend_when_due()
    write()
    extend_when_due()  # another worker has done it a moment ago
    assert list(ChainLink.objects.values_list("number", flat=True)) == [1]


def test_many_events_make_many_links(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.KEYPORTAL_AUDIT_CHAIN = True
    monkeypatch.setattr(chain, "BATCH", 4)
    monkeypatch.setattr(chain, "MAX_LATE_IDS", 3)
    for _ in range(10):
        write()
    extend_when_due()
    assert [len(chain.ids_of(link)) for link in ChainLink.objects.order_by("number")] == [4, 4, 2]
    assert verify_trail().is_valid
