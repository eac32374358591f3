"""Keys and secrets as rows: their ids, their state at each moment, and the selections that pages make of them."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from apikeys.models import APIKey, KeySecret, new_key_id, new_secret_id
from tests.conftest import MakeKey, MakeUser
from tests.rows import rewrite

NOW = datetime.fromisoformat("2027-03-01T12:00:00+00:00")
SECOND = timedelta(seconds=1)


@pytest.fixture
def at_noon(time_machine: Any) -> None:
    """Let the clock stand at `NOW`."""
    time_machine.move_to(NOW, tick=False)


@pytest.fixture
def every_state(make_key: MakeKey, at_noon: None) -> dict[str, APIKey]:
    """A key in each state, and in states that hide others."""
    moments: dict[str, dict[str, datetime]] = {
        "active": {},
        "expires later": {"expires_at": NOW + SECOND},
        "paused": {"paused_at": NOW - SECOND},
        "paused, expires later": {"paused_at": NOW - SECOND, "expires_at": NOW + SECOND},
        "expired now": {"expires_at": NOW},
        "expired while paused": {"expires_at": NOW - SECOND, "paused_at": NOW - SECOND},
        "revoked": {"revoked_at": NOW},
        "revoked, then expired": {"revoked_at": NOW - 2 * SECOND, "expires_at": NOW - SECOND},
    }
    return {name: rewrite(make_key(name=name)[0], **fields) for name, fields in moments.items()}


STATES = {
    "active": {"active", "expires later"},
    "paused": {"paused", "paused, expires later"},
    "expired": {"expired now", "expired while paused"},
    "revoked": {"revoked", "revoked, then expired"},
}


def names(keys: Any) -> set[str]:
    return set(keys.values_list("name", flat=True))


@pytest.mark.django_db
def test_each_key_is_in_one_state_and_selected_by_it(every_state: dict[str, APIKey]) -> None:
    for state, expected in STATES.items():
        assert {name for name, key in every_state.items() if key.state == state} == expected
        assert names(APIKey.objects.all().in_state(state)) == expected
    assert names(APIKey.objects.all().alive()) == STATES["active"] | STATES["paused"]
    for other in ("", "ACTIVE", "nonsense"):
        assert names(APIKey.objects.all().in_state(other)) == set(every_state)


@pytest.mark.django_db
def test_the_keys_of_a_developer_stand_newest_first(make_key: MakeKey, make_user: MakeUser, developer: User) -> None:
    first, second, third = (make_key()[0] for _ in range(3))
    make_key(owner=make_user("other@example.com"))
    rewrite(third, created_at=first.created_at - SECOND)
    rewrite(second, created_at=first.created_at)
    same_moment = sorted([first.pk, second.pk], reverse=True)
    assert [key.pk for key in APIKey.objects.all().of(developer)] == [*same_moment, third.pk]


@pytest.mark.django_db
def test_a_search_finds_keys_by_name_id_and_hint(make_key: MakeKey) -> None:
    one, other = make_key(name="Billing Server")[0], make_key(name="reports")[0]
    hint = one.secrets.get().hint
    for text in ("billing", " SERVER ", one.pk, one.pk[:12].upper(), hint, hint[-4:]):
        assert list(APIKey.objects.all().matching(text)) == [one]
    for text in ("", "  "):
        assert set(APIKey.objects.all().matching(text)) == {one, other}
    for text in ("nonsense", one.pk[1:], hint[:-1]):
        assert list(APIKey.objects.all().matching(text)) == []


@pytest.mark.parametrize(
    ("age", "ahead", "soon"),
    [
        (90, None, False),
        (90, timedelta(0), False),
        (90, -SECOND, False),
        (90, SECOND, True),
        (90, timedelta(days=7), True),
        (90, timedelta(days=7) + SECOND, False),
        (2, timedelta(days=2), True),
        (2, timedelta(days=2) + SECOND, False),
    ],
)
def test_a_key_expires_soon_in_its_last_seven_days_but_not_in_the_first_half_of_its_time(
    at_noon: None, age: int, ahead: timedelta | None, soon: bool
) -> None:
    key = APIKey(created_at=NOW - timedelta(days=age), expires_at=None if ahead is None else NOW + ahead)
    assert key.expires_soon is soon


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (None, "in less than an hour"),
        (timedelta(minutes=59, seconds=59), "in less than an hour"),
        (timedelta(hours=1), "in 1 hour"),
        (timedelta(hours=2), "in 2 hours"),
        (timedelta(hours=47, minutes=59), "in 47 hours"),
        (timedelta(hours=48), "in 2 days"),
        (timedelta(days=6, hours=23), "in 6 days"),
    ],
)
def test_the_time_left_is_said_in_whole_hours_or_days(at_noon: None, ahead: timedelta | None, said: str) -> None:
    assert APIKey(expires_at=None if ahead is None else NOW + ahead).time_left == said


def test_scopes_and_networks_are_lists() -> None:
    key = APIKey(scopes="a:a b:b", networks="192.0.2.0/24 2001:db8::/32")
    assert (key.scope_list, key.network_list) == (["a:a", "b:b"], ["192.0.2.0/24", "2001:db8::/32"])
    assert (APIKey().scope_list, APIKey().network_list) == ([], [])


def test_ids_say_what_they_are_of_and_are_new_each_time() -> None:
    for make, kind in ((new_key_id, "key"), (new_secret_id, "sec")):
        one, other = make(), make()
        assert re.fullmatch(rf"{kind}_[0-9A-Za-z]{{22}}", one)
        assert one != other
    assert (str(APIKey(id="key_1")), str(KeySecret(hint="kp_live_…abcd"))) == ("key_1", "kp_live_…abcd")


@pytest.mark.django_db
def test_a_secret_can_be_revealed_while_there_is_a_ciphertext(make_key: MakeKey) -> None:
    key, _ = make_key()
    once, _ = make_key(show_once=True)
    assert (key.secrets.get().can_be_revealed, once.secrets.get().can_be_revealed) == (True, False)
    for retires_in, can_be_revealed in ((60, True), (0, False)):
        retires_at = timezone.now() + timedelta(seconds=retires_in)
        assert KeySecret(ciphertext=b"sealed", retires_at=retires_at).can_be_revealed == can_be_revealed


@pytest.mark.django_db
def test_a_row_is_found_by_its_secret(make_key: MakeKey) -> None:
    pairs = [make_key(), make_key()]
    for key, secret in pairs:
        assert [row.key_id for row in KeySecret.objects.with_secret(secret)] == [key.pk]
    assert list(KeySecret.objects.with_secret("x")) == []


@pytest.mark.django_db
def test_a_ciphertext_is_bound_to_its_row_its_key_its_owner_and_its_environment(make_key: MakeKey) -> None:
    key, _ = make_key(environment="test")
    secret = key.secrets.get()
    assert secret.sealing_context(key) == ["key secret", secret.pk, key.pk, key.owner_id, "test"]


def test_the_keys_of_a_developer_are_newest_first_and_in_a_fixed_order(make_key: MakeKey, developer: User) -> None:
    keys = [make_key()[0] for _ in range(6)]
    for place, key in enumerate(sorted(keys, key=lambda key: key.pk)):
        rewrite(key, created_at=NOW - timedelta(hours=place // 2))
    ids = sorted(key.pk for key in keys)
    wanted = [ids[1], ids[0], ids[3], ids[2], ids[5], ids[4]]
    assert [key.pk for key in APIKey.objects.of(developer)] == wanted
