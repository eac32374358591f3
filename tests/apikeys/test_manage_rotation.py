"""The management API rotates, pauses and resumes keys; a key rotates itself."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apikeys import services
from apikeys.api.bodies import RotationBody
from apikeys.api.callers import Caller
from apikeys.models import APIKey, KeySecret
from apikeys.services.rotation import current_secret
from apikeys.verification import verify
from audit.models import Event
from credentials.scopes.models import Scope
from credentials.scopes.services import remove_scope
from tests.apikeys.management import KEYS, Api
from tests.apikeys.verifying import outcome_of
from tests.conftest import ORIGIN, MakeKey
from tokens.services import issue_to_key

pytestmark = pytest.mark.django_db
MANAGER = ["keys:read", "keys:write"]


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
    token = issue_to_key(client=verify(leaked, address=None), scopes=scopes, origin=ORIGIN).access_token
    assert problem_of(Api(leaked).post(f"{KEYS}/{key.pk}/rotate", {"overlap": 0})) == (409, "rotating")
    assert Api(token).post(f"{KEYS}/{key.pk}/rotate", {"overlap": 0}).status_code in (403, 409)
    assert outcome_of(new) == "accepted"
    assert Api(new).post(f"{KEYS}/{key.pk}/rotate", {"overlap": 0}).status_code == 201


@pytest.mark.usefixtures("scopes")
@pytest.mark.parametrize("kind", ["secret", "token"])
def test_a_replaced_secret_gives_nothing_to_other_keys(make_key: MakeKey, kind: str) -> None:
    """Otherwise its holder could go on with another key after the owner has rotated a leaked one."""
    key, leaked = make_key(scopes=MANAGER)
    other, _ = make_key(networks=["127.0.0.0/8"])
    token = issue_to_key(client=verify(leaked, address=None), scopes=MANAGER, origin=ORIGIN).access_token
    caller = Api(leaked if kind == "secret" else token)
    calls: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("POST", "", {"name": "accomplice", "scopes": MANAGER}),
        ("POST", f"/{other.pk}/rotate", {}),
        ("POST", f"/{other.pk}/resume", {}),
        ("PATCH", f"/{other.pk}", {"networks": []}),
        ("PATCH", f"/{other.pk}", {"scopes": ["keys:write"]}),
    )
    services.pause(key=other, origin=ORIGIN)
    services.rotate(key=key, replaces=current_secret(key).pk, overlap=timedelta(hours=1), origin=ORIGIN)
    for method, path, body in calls:
        answer = caller(method, KEYS + path, body)
        assert problem_of(answer) == (403, "permission_denied"), path
        assert "newer secret" in answer.json()["detail"]
    assert caller("PATCH", f"{KEYS}/{other.pk}", {"name": "renamed"}).status_code == 200
    assert caller("DELETE", f"{KEYS}/{other.pk}").status_code == 204  # what is less it may still do
    services.end_overlap(key=key, origin=ORIGIN)
    assert problem_of(caller.get(KEYS)) == (401, "retired")


@pytest.mark.security("integrity")
def test_who_is_replaced_can_not_be_changed_outside_the_portal(make_key: MakeKey) -> None:
    key, leaked = make_key(scopes=["self:rotate"])
    former = current_secret(key)
    _, new = services.rotate(key=key, replaces=former.pk, overlap=timedelta(hours=1), origin=ORIGIN)
    KeySecret.objects.filter(pk=current_secret(key).pk).update(replaced_at=timezone.now())
    KeySecret.objects.filter(pk=former.pk).update(replaced_at=None)
    assert problem_of(Api(leaked).post(f"{KEYS}/{key.pk}/rotate", {"overlap": 0})) == (401, "invalid_token")
    assert outcome_of(new) == "invalid_token"


def test_a_key_rotates_itself_with_a_scope_that_has_left_the_catalogue(make_key: MakeKey, scopes: list[Scope]) -> None:
    key, secret = make_key(scopes=["self:rotate", "reports:read"])
    remove_scope(scope=Scope.objects.get(name="reports:read"), origin=ORIGIN)
    assert Api(secret).post(f"{KEYS}/{key.pk}/rotate", {}).status_code == 201


@pytest.mark.parametrize("change", ["rotate", "revoke", "pause"])
@pytest.mark.parametrize("verb", ["create", "rotate"])
def test_a_caller_that_has_just_been_rotated_or_ended_gets_nothing_more(
    make_key: MakeKey, monkeypatch: pytest.MonkeyPatch, change: str, verb: str
) -> None:
    """Its credential was good when the call began."""
    key, leaked = make_key(scopes=MANAGER)
    other, _ = make_key()
    newest, refuse = current_secret(key).pk, Caller.refuse_replaced
    changes: dict[str, Callable[[], object]] = {
        "rotate": lambda: services.rotate(key=key, replaces=newest, overlap=timedelta(0), origin=ORIGIN),
        "revoke": lambda: services.revoke(key=key, reason="", origin=ORIGIN),
        "pause": lambda: services.pause(key=key, origin=ORIGIN),
    }

    def change_and_refuse(caller: Caller) -> None:
        changes[change]()
        refuse(caller)

    def change_and_read(sent: object) -> dict[str, Any]:
        changes[change]()
        return {}

    if verb == "create":
        monkeypatch.setattr(Caller, "refuse_replaced", change_and_refuse)
        answer = Api(leaked).post(KEYS, {"name": "accomplice", "scopes": MANAGER})
    else:
        monkeypatch.setattr(RotationBody, "read", change_and_read)
        answer = Api(leaked).post(f"{KEYS}/{other.pk}/rotate", {})
    assert problem_of(answer) == (409, "conflict")
    assert not APIKey.objects.filter(name="accomplice").exists()
    assert other.secrets.count() == 1


def test_what_the_caller_may_is_decided_under_the_key_s_lock(api: Api, make_key: MakeKey) -> None:
    """Otherwise the key could be widened between the check and the rotation, which gives its secret away."""
    if connection.vendor == "sqlite":
        assert connection.settings_dict["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
        return
    key, _ = make_key()
    for verb in ("rotate", "resume"):
        with CaptureQueriesContext(connection) as context:
            api.post(f"{KEYS}/{key.pk}/{verb}", {})
        statements = [query["sql"] for query in context.captured_queries]
        locked = next(number for number, sql in enumerate(statements) if "FOR NO KEY UPDATE" in sql)
        assert any('FROM "apikeys_apikey"' in sql and "rate_limit" in sql for sql in statements[locked + 1 :])


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
