"""What a verifier knows, and for how long: docs/change-feed.md, “What a verifier does”."""

import pytest

from keyportal_client.errors import UnexpectedAnswerError
from keyportal_client.verifying.cursor import Cursor
from keyportal_client.verifying.record import Record
from keyportal_client.verifying.store import LEASE, MAX_AGE, Changes, RecordStore
from tests.clients.verifying.clock import Clock
from tests.clients.verifying.samples import KEY, OWNER, SECONDS, a_record, cursor

pytestmark = pytest.mark.once

OTHER = "fedcba9876543210"


class World:
    """A store, its clock, and a portal's answers."""

    def __init__(self, max_records: int = 3) -> None:
        self.clock = Clock()
        self.store = RecordStore(now=self.clock, max_records=max_records)

    def apply_changes(self, at: Cursor, *tags: str, age: float = 0.0, reset: bool = False, took: float = 0.0) -> None:
        """Have a poll answered that took so long."""
        began = self.clock()
        self.clock.pass_by(took)
        self.store.apply_changes(Changes(at, age, None if reset else tags), began=began)

    def put(
        self, name: str, at: Cursor, record: Record | None = None, took: float = 0.0, portal_time: float = SECONDS
    ) -> bool:
        """Have a question answered that took so long."""
        question = self.store.begin()
        self.clock.pass_by(took)
        digest = self.store.digest(name)
        return self.store.put(digest, record or a_record(), question, cursor=at, portal_time=portal_time)

    def knows(self, name: str) -> bool:
        return self.store.get(self.store.digest(name)) is not None


@pytest.fixture
def world() -> World:
    """A store that has heard of everything up to change 5."""
    world = World()
    world.apply_changes(cursor(5), reset=True)
    return world


def test_nothing_is_judged_before_the_feed_has_answered() -> None:
    world = World()
    assert world.put("a", cursor(5))
    assert not world.knows("a")
    world.apply_changes(cursor(5))
    assert world.knows("a")


def test_the_first_answer_gives_a_store_without_a_cursor_its_own() -> None:
    world = World()
    world.put("a", cursor(5))
    assert world.store.cursor == cursor(5)
    world.apply_changes(cursor(6), f"key:{KEY}")
    assert not world.knows("a")


def test_a_first_poll_that_was_on_its_way_drops_what_came_meanwhile() -> None:
    world = World()
    world.put("a", cursor(5))
    world.apply_changes(cursor(5), reset=True)
    assert not world.knows("a")


def test_the_first_poll_forgets_nothing_that_is_on_its_way() -> None:
    world = World()
    early, late = world.store.begin(), world.store.begin()
    world.apply_changes(cursor(5), reset=True)
    assert not world.store.put(b"a", a_record(), early, cursor=cursor(4), portal_time=SECONDS)
    assert world.store.put(b"a", a_record(), late, cursor=cursor(5), portal_time=SECONDS)


def test_a_lease_counts_from_before_the_poll_and_from_what_the_worker_knew(world: World) -> None:
    world.put("a", cursor(5))
    world.clock.pass_by(10)
    began = world.clock()
    world.apply_changes(cursor(5), age=0.5, took=0.25)
    assert world.store.lease_until == began - 0.5 + LEASE
    world.clock.at = began - 0.5 + LEASE - 0.001
    assert world.knows("a")
    world.clock.pass_by(0.001)
    assert not world.knows("a")
    world.apply_changes(cursor(5))
    assert world.knows("a")


def test_an_answer_of_a_worker_that_knows_less_does_not_shorten_the_lease(world: World) -> None:
    before = world.store.lease_until
    world.apply_changes(cursor(5), age=30)
    assert world.store.lease_until == before


@pytest.mark.parametrize("tag", [f"key:{KEY}", f"user:{OWNER}"])
def test_what_has_changed_is_dropped_and_nothing_else(world: World, tag: str) -> None:
    world.put("a", cursor(5))
    world.put("b", cursor(5), a_record(tags=["key:another"]))
    world.apply_changes(cursor(6), "key:unheard", tag)
    assert (world.knows("a"), world.knows("b")) == (False, True)


@pytest.mark.parametrize("step", [-3600.0, -1.0, 1.0, 3600.0])
def test_a_portals_clock_that_was_set_is_heard_of_at_the_next_answer(world: World, step: float) -> None:
    """Also if that answer is slower, and would else be the worse one to compare by."""
    world.put("a", cursor(5), took=0.001)
    world.put("b", cursor(5), took=0.002, portal_time=SECONDS + step)
    assert world.store.portal_time() == pytest.approx(SECONDS + step, abs=0.01)


def test_of_answers_that_agree_the_quickest_counts(world: World) -> None:
    world.put("a", cursor(5), took=0.001)
    world.put("b", cursor(5), took=0.5, portal_time=SECONDS + 0.3)
    assert world.store.portal_time() == pytest.approx(SECONDS + 0.501, abs=0.01)


def test_a_reset_drops_everything(world: World) -> None:
    world.put("a", cursor(5))
    world.apply_changes(cursor(6), reset=True)
    assert (world.knows("a"), len(world.store)) == (False, 0)


@pytest.mark.parametrize("at", [cursor(6, OTHER), cursor(4)])
def test_a_cursor_that_does_not_go_on_drops_everything(world: World, at: Cursor) -> None:
    world.put("a", cursor(5))
    world.apply_changes(at)
    assert not world.knows("a")


@pytest.mark.parametrize(("at", "is_kept"), [(cursor(5), True), (cursor(6), True), (cursor(4), False)])
def test_a_record_from_before_the_last_change_is_not_kept(world: World, at: Cursor, is_kept: bool) -> None:
    assert world.put("a", at) is is_kept
    assert world.knows("a") is is_kept


def test_a_record_of_another_order_of_changes_is_not_kept(world: World) -> None:
    assert not world.put("a", cursor(9, OTHER))


def test_a_part_of_a_transaction_is_earlier_than_the_whole(world: World) -> None:
    world.apply_changes(Cursor.parse("0123456789abcdef.5.2.ab"))
    assert not world.put("a", Cursor.parse("0123456789abcdef.5.1.ab"))
    assert world.put("a", Cursor.parse("0123456789abcdef.5.10.ab"))


def test_a_record_is_not_kept_if_everything_was_forgotten_since_the_question_began(world: World) -> None:
    question = world.store.begin()
    world.apply_changes(cursor(5), reset=True)
    digest = world.store.digest("a")
    assert not world.store.put(digest, a_record(), question, cursor=cursor(9), portal_time=SECONDS)


def test_a_record_is_asked_for_anew_a_minute_after_its_question_began(world: World) -> None:
    world.put("a", cursor(5), took=1)
    world.clock.pass_by(MAX_AGE - 1.001)
    world.apply_changes(cursor(5))
    assert world.knows("a")
    world.clock.pass_by(0.001)
    assert not world.knows("a")


def test_the_oldest_records_make_room_and_their_tags_go_with_them(world: World) -> None:
    for name in "abcd":
        world.put(name, cursor(5), a_record(tags=[f"key:{name}"]))
    assert [world.knows(name) for name in "abcd"] == [False, True, True, True]
    assert world.store._tagged.keys() == {"key:b", "key:c", "key:d"}


def test_a_record_that_comes_again_takes_the_place_of_the_former_one(world: World) -> None:
    world.put("a", cursor(5), a_record(tags=["key:former"]))
    world.put("a", cursor(5))
    world.apply_changes(cursor(6), "key:former")
    assert (world.knows("a"), len(world.store)) == (True, 1)


def test_the_portals_clock_is_never_behind_and_a_slow_answer_does_not_count(world: World) -> None:
    assert world.store.known_time() is None
    world.put("a", cursor(5), took=0.5)
    assert world.store.known_time() == SECONDS + 0.5
    world.put("b", cursor(5), took=10)
    assert world.store.portal_time() == SECONDS + 10.5
    world.put("c", cursor(5), took=0.1)
    assert world.store.portal_time() == pytest.approx(SECONDS + 0.1)


def test_a_comparison_of_clocks_is_not_relied_on_for_longer_than_a_minute(world: World) -> None:
    world.put("a", cursor(5))
    world.clock.pass_by(MAX_AGE)
    world.put("b", cursor(5), took=0.5)
    assert world.store.portal_time() == SECONDS + 0.5


def test_no_text_of_a_credential_is_in_the_store(world: World) -> None:
    world.put("kp_live_planted", cursor(5))
    assert "planted" not in repr(vars(world.store))
    assert world.store.digest("a") != World().store.digest("a")


@pytest.mark.parametrize(
    "text", [None, 5, "", "x", "0123456789abcdef.5.0", "0123456789abcdef.-5.0.ab", "g" * 16 + ".5.0.ab"]
)
def test_what_is_no_cursor_is_refused(text: object) -> None:
    with pytest.raises(UnexpectedAnswerError):
        Cursor.parse(text)
