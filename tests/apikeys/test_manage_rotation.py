"""The management API rotates, pauses and resumes keys; a key rotates itself."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apikeys import services
from apikeys.models import KeySecret
from audit.models import Event
from tests.apikeys.management import KEYS, Api
from tests.apikeys.verifying import outcome_of
from tests.conftest import ORIGIN, MakeKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(make_key: MakeKey) -> Api:
    """The API for a key that manages keys."""
    return Api(make_key(name="manager", scopes=["keys:read", "keys:write"])[1])


def problem_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_rotation_answers_with_the_new_secret_and_both_work(api: Api, make_key: MakeKey) -> None:
    key, former = make_key()
    answer = api.post(f"{KEYS}/{key.pk}/rotate", {"overlap": "90m", "reason": "yearly"})
    assert answer.status_code == 201
    body = answer.json()
    assert outcome_of(body["secret"]) == outcome_of(former) == "accepted"
    assert [secret["retires_at"] is None for secret in body["secrets"]] == [True, False]
    assert Event.objects.get(verb="key_rotated").details["overlap"] == 90 * 60
    assert problem_of(api.post(f"{KEYS}/{key.pk}/rotate", {"overlap": "1h"})) == (409, "rotating")
    ended = api.post(f"{KEYS}/{key.pk}/end-overlap")
    assert (ended.status_code, len(ended.json()["secrets"])) == (200, 1)
    assert outcome_of(former) == "retired"
    assert api.post(f"{KEYS}/{key.pk}/end-overlap").status_code == 200


def test_the_default_is_a_day_and_zero_is_at_once(api: Api, make_key: MakeKey) -> None:
    key, former = make_key()
    api.post(f"{KEYS}/{key.pk}/rotate")
    assert Event.objects.get(verb="key_rotated").details["overlap"] == 24 * 3600
    newest = api.post(f"{KEYS}/{key.pk}/rotate", {"overlap": 0}).json()
    assert [outcome_of(secret) for secret in (former, newest["secret"])] == ["retired", "accepted"]
    assert len(newest["secrets"]) == 1


@pytest.mark.parametrize(
    "overlap", ["24", "1w", "-1h", "91d", "2161h", 1, 24, True, 0.0, "1.5h", "", "١h", [], {}, "9999999d"], ids=repr
)
def test_an_overlap_that_is_none_is_refused_first(api: Api, make_key: MakeKey, overlap: Any) -> None:
    key, _ = make_key()
    services.revoke(key=key, reason="", origin=ORIGIN)
    answer = api.post(f"{KEYS}/{key.pk}/rotate", {"overlap": overlap})
    if overlap == 0.0 and not isinstance(overlap, (str, bool, list, dict)):
        assert problem_of(answer) == (409, "key_ended")
        return
    assert problem_of(answer) == (400, "validation")
    assert answer.json()["errors"][0]["pointer"] == "/overlap"


@pytest.mark.parametrize("verb", ["rotate", "pause", "resume"])
def test_a_key_that_is_over_is_a_conflict(api: Api, make_key: MakeKey, verb: str) -> None:
    revoked, _ = make_key()
    services.revoke(key=revoked, reason="", origin=ORIGIN)
    expired, _ = make_key(expires_at=timezone.now() - timedelta(days=1))
    for key in (revoked, expired):
        assert problem_of(api.post(f"{KEYS}/{key.pk}/{verb}", {})) == (409, "key_ended")


def test_a_key_rotates_itself_and_nothing_else(make_key: MakeKey) -> None:
    key, secret = make_key(scopes=["self:rotate"])
    other, _ = make_key()
    itself = Api(secret)
    assert problem_of(itself.post(f"{KEYS}/{other.pk}/rotate", {})) == (403, "insufficient_scope")
    for path in ("", f"/{key.pk}"):
        assert problem_of(itself.get(KEYS + path)) == (403, "insufficient_scope")
    assert problem_of(itself.post(f"{KEYS}/{key.pk}/pause", {})) == (403, "insufficient_scope")
    new = itself.post(f"{KEYS}/{key.pk}/rotate", {"overlap": "1h"})
    assert new.status_code == 201
    assert Event.objects.get(verb="key_rotated").actor == f"key:{key.pk}"
    assert KeySecret.objects.filter(key=other).count() == 1


@pytest.mark.parametrize("scopes", [["self:rotate"], ["keys:write"]])
def test_a_replaced_secret_does_not_rotate_its_key_again(make_key: MakeKey, scopes: list[str]) -> None:
    key, leaked = make_key(scopes=scopes)
    new = Api(leaked).post(f"{KEYS}/{key.pk}/rotate", {"overlap": "1h"}).json()["secret"]
    assert problem_of(Api(leaked).post(f"{KEYS}/{key.pk}/rotate", {"overlap": 0})) == (409, "rotating")
    assert outcome_of(new) == "accepted"
    assert Api(new).post(f"{KEYS}/{key.pk}/rotate", {"overlap": 0}).status_code == 201


def test_pausing_and_resuming_are_idempotent(api: Api, make_key: MakeKey) -> None:
    key, secret = make_key()
    until = (timezone.now() + timedelta(days=2)).replace(microsecond=0)
    for _ in range(2):
        answer = api.post(f"{KEYS}/{key.pk}/pause", {"reason": "incident", "until": until.isoformat()})
        assert (answer.status_code, answer.json()["state"]) == (200, "paused")
    assert answer.json()["paused_reason"] == "incident"
    assert answer.json()["paused_until"] == until.isoformat().replace("+00:00", "Z")
    assert outcome_of(secret) == "paused"
    for _ in range(2):
        answer = api.post(f"{KEYS}/{key.pk}/resume")
        assert (answer.status_code, answer.json()["state"], answer.json()["paused_at"]) == (200, "active", None)
    assert Event.objects.filter(verb__in=("key_paused", "key_resumed")).count() == 2
    past = api.post(f"{KEYS}/{key.pk}/pause", {"until": "2020-01-01T00:00:00Z"})
    assert problem_of(past) == (400, "validation")


def test_what_an_operator_paused_stays_paused(api: Api, make_key: MakeKey) -> None:
    key, _ = make_key()
    services.pause(key=key, by_operator=True, origin=ORIGIN)
    assert problem_of(api.post(f"{KEYS}/{key.pk}/resume", {})) == (403, "permission_denied")


def test_verbs_take_no_members_that_they_do_not_know(api: Api, make_key: MakeKey) -> None:
    key, _ = make_key()
    for verb in ("rotate", "end-overlap", "pause", "resume"):
        answer = api.post(f"{KEYS}/{key.pk}/{verb}", {"overlpa": "1h"})
        assert problem_of(answer) == (400, "validation")
        assert answer.json()["errors"][0]["pointer"] == "/overlpa"
