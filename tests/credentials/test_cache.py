"""The verified cache by itself: what it keeps, what it forgets, and the race between an answer and a change."""

import threading
from dataclasses import dataclass
from functools import partial
from itertools import product

import pytest
from pytest_django import Settings

from credentials.verified_cache import clock
from credentials.verified_cache.cache import MAX_AGE, VerifiedCache
from tests.waiting import DEADLINE

pytestmark = pytest.mark.once


@dataclass(frozen=True)
class Fact:
    """A record of a test."""

    value: str
    tags: tuple[str, ...] = ("key:1",)
    is_terminal: bool = False


def ask_for(fact: Fact | None, asked: list[str]) -> Fact | None:
    asked.append("asked")
    return fact


def test_a_record_is_cached_until_its_change_is_announced() -> None:
    cache, asked = VerifiedCache(), list[str]()
    fact = Fact("one")

    def get_or_load() -> Fact | None:
        return cache.get_or_load(cache.generation, b"1", lambda: ask_for(fact, asked))

    assert [get_or_load() for _ in range(3)] == [fact] * 3
    assert len(asked) == 1
    cache.drop({"key:2", "user:1"})
    get_or_load()
    assert len(asked) == 1
    cache.drop({"key:1"})
    get_or_load()
    assert len(asked) == 2
    cache.clear()
    get_or_load()
    assert len(asked) == 3


def test_without_knowing_whether_it_is_current_it_is_neither_read_nor_filled() -> None:
    cache, asked = VerifiedCache(), list[str]()
    for _ in range(3):
        assert cache.get_or_load(None, b"1", lambda: ask_for(Fact("one"), asked)) == Fact("one")
    assert (len(asked), len(cache)) == (3, 0)
    cache.get_or_load(cache.generation, b"1", lambda: ask_for(Fact("old"), asked))
    assert cache.get_or_load(None, b"1", lambda: ask_for(Fact("new"), asked)) == Fact("new")


def test_what_is_unknown_or_over_is_not_kept() -> None:
    cache = VerifiedCache()
    assert cache.get_or_load(0, b"1", lambda: None) is None
    assert cache.get_or_load(0, b"2", lambda: Fact("over", is_terminal=True)) == Fact("over", is_terminal=True)
    assert len(cache) == 0


@pytest.mark.parametrize("heard", ["named", "everything", "another"])
def test_an_answer_from_before_a_change_is_not_kept_after_it(heard: str) -> None:
    """The change is heard while the question is on its way: first the query's snapshot, then the change."""
    cache = VerifiedCache()
    asking, changed = threading.Event(), threading.Event()

    def load() -> Fact:
        asking.set()
        assert changed.wait(DEADLINE)
        return Fact("old")

    answers: list[Fact | None] = []
    thread = threading.Thread(target=lambda: answers.append(cache.get_or_load(cache.generation, b"1", load)))
    thread.start()
    assert asking.wait(DEADLINE)
    cache.clear() if heard == "everything" else cache.drop({"key:1" if heard == "named" else "key:9"})
    changed.set()
    thread.join()
    assert answers == [Fact("old")]  # whoever asked before the change may be told so
    assert cache.get(b"1") is None


def test_an_answer_that_is_kept_before_the_change_is_heard_goes_with_it() -> None:
    """The other order: first the keeping, then the change."""
    cache = VerifiedCache()
    cache.get_or_load(cache.generation, b"1", lambda: Fact("old"))
    cache.drop({"key:1"})
    assert cache.get_or_load(cache.generation, b"1", lambda: Fact("new")) == Fact("new")


def test_an_answer_that_began_before_any_of_many_changes_is_not_cached() -> None:
    """However many came before: a count that stood still or came back would let an old answer in."""
    for changes in product(("clear", "drop"), repeat=4):
        cache = VerifiedCache()
        for number, change in enumerate(changes):
            began, key = cache.generation, str(number).encode()
            cache.clear() if change == "clear" else cache.drop({"key:9"})
            assert cache.get_or_load(began, key, lambda: Fact("old")) == Fact("old")
            assert cache.get(key) is None
            assert cache.get_or_load(cache.generation, key, lambda: Fact("new")) == Fact("new")
            assert cache.get(key) == Fact("new")


def test_hits_and_misses_are_counted() -> None:
    cache = VerifiedCache()
    assert (cache.hits, cache.misses) == (0, 0)
    for key in (b"1", b"1", b"2", b"1", b"3"):
        cache.get_or_load(cache.generation, key, lambda: Fact("x"))
    cache.get_or_load(None, b"1", lambda: Fact("x"))
    assert (cache.hits, cache.misses) == (2, 4)


def test_a_cache_of_one_keeps_the_newest(settings: Settings) -> None:
    settings.KEYPORTAL_CACHE_ENTRIES = 1
    cache = VerifiedCache()
    for key in (b"1", b"2"):
        cache.get_or_load(cache.generation, key, partial(Fact, key.decode()))
    assert (cache.get(b"1"), cache.get(b"2"), len(cache)) == (None, Fact("2"), 1)


def test_put_says_whether_the_record_is_kept(settings: Settings) -> None:
    cache = VerifiedCache()
    assert cache.put(b"1", Fact("x"), generation=cache.generation, loaded_at=clock.now()) is True
    cache.clear()
    assert cache.put(b"1", Fact("x"), generation=cache.generation - 1, loaded_at=clock.now()) is False
    settings.KEYPORTAL_CACHE_ENTRIES = 0
    assert cache.put(b"1", Fact("x"), generation=cache.generation, loaded_at=clock.now()) is False


def test_the_cache_has_a_bound(settings: Settings) -> None:
    settings.KEYPORTAL_CACHE_ENTRIES = 100
    cache = VerifiedCache()
    for number in range(1000):
        cache.get_or_load(0, str(number).encode(), lambda: Fact("x"))
    assert len(cache) == 100
    assert cache.get(b"999")
    assert cache.get(b"1") is None


def test_many_threads_leave_it_whole(settings: Settings) -> None:
    settings.KEYPORTAL_CACHE_ENTRIES = 50
    cache = VerifiedCache()

    def work(seed: int) -> None:
        for number in range(2000):
            key = str((number * seed) % 200)
            cache.get_or_load(cache.generation, key.encode(), partial(Fact, key, (f"key:{key}",)))
            if number % 97 == 0:
                cache.drop({f"key:{key}"})

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) <= 50


def test_a_cache_of_none_keeps_nothing(settings: Settings) -> None:
    settings.KEYPORTAL_CACHE_ENTRIES = 0
    cache, asked = VerifiedCache(), list[str]()
    for _ in range(2):
        assert cache.get_or_load(0, b"1", lambda: ask_for(Fact("one"), asked)) == Fact("one")
    assert (len(asked), len(cache)) == (2, 0)


@pytest.mark.finding("H14")
def test_an_entry_that_is_too_old_is_asked_for_anew() -> None:
    """Its age counts from the question: the answer may have been on its way for long."""
    now = [1000.0]
    cache, asked = VerifiedCache(now=lambda: now[0]), list[str]()

    def load() -> Fact:
        asked.append("asked")
        now[0] += 10
        return Fact("one")

    def get_or_load() -> int:
        cache.get_or_load(cache.generation, b"1", load)
        return len(asked)

    assert [get_or_load(), get_or_load()] == [1, 1]
    now[0] = 1000.0 + MAX_AGE - 0.001
    assert get_or_load() == 1
    now[0] = 1000.0 + MAX_AGE
    assert cache.get(b"1") is None
    assert [get_or_load(), get_or_load()] == [2, 2]
    now[0] += MAX_AGE
    assert [get_or_load(), get_or_load(), len(cache)] == [3, 3, 1]


@pytest.mark.finding("H14")
def test_an_entry_that_was_asked_for_anew_is_the_newest(settings: Settings) -> None:
    settings.KEYPORTAL_CACHE_ENTRIES = 3
    now = [0.0]
    cache = VerifiedCache(now=lambda: now[0])
    for key in (b"1", b"2"):
        cache.get_or_load(0, key, lambda: Fact("x"))
        now[0] += 1
    now[0] = MAX_AGE
    cache.get_or_load(0, b"1", lambda: Fact("x"))  # too old by now, the other is not
    for key in (b"3", b"4"):
        cache.get_or_load(0, key, lambda: Fact("x"))
    assert [key for key in (b"1", b"2", b"3", b"4") if cache.get(key)] == [b"1", b"3", b"4"]
