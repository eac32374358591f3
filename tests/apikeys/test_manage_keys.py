"""The management API: keys are created, listed, read, changed and revoked by a program."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from apikeys import services
from apikeys.models import APIKey, KeyPolicy
from audit.models import Event
from credentials.scopes.models import Scope
from tests.apikeys.management import KEYS, Api
from tests.apikeys.verifying import outcome_of
from tests.conftest import ORIGIN, MakeKey, MakeUser

pytestmark = pytest.mark.django_db
MEMBERS = {
    *("id", "name", "environment", "state", "scopes", "networks", "rate_limit", "created_at", "expires_at"),
    *("paused_at", "paused_until", "paused_reason", "revoked_at", "revoked_reason", "last_used_at", "owner", "secrets"),
}


@pytest.fixture
def api(make_key: MakeKey, scopes: list[Scope]) -> Api:
    """The API for a key that may do everything that developers can take."""
    every = ["keys:read", "keys:write", "self:rotate", "reports:read", "reports:write"]
    return Api(make_key(name="manager", scopes=every)[1])


def problem_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


def test_a_key_is_created_and_its_secret_given_once(api: Api, developer: User) -> None:
    body = {"name": "CI", "environment": "test", "scopes": ["reports:read"], "networks": ["203.0.113.0/24"]}
    made = api.post(KEYS, body)
    assert made.status_code == 201
    key = made.json()
    assert set(key) == {*MEMBERS, "secret"}
    assert {name: key[name] for name in body} == body
    assert (key["state"], key["owner"], key["expires_at"]) == ("active", developer.pk, None)
    assert outcome_of(key["secret"]) == "accepted"
    assert made["Cache-Control"] == "no-store"
    read = api.get(made["Location"])
    assert read.json() == {name: value for name, value in key.items() if name != "secret"}
    assert read["ETag"] == made["ETag"] == '"1"'
    assert key["secret"] not in api.get(KEYS).content.decode()
    event = Event.objects.get(verb="key_created", subject_id=key["id"])
    assert event.actor.startswith("key:key_")


@pytest.mark.parametrize("body", [{"name": "x"}, {"name": "x", "scopes": []}, {"name": "x", "scopes": None}])
def test_without_scopes_a_key_has_none(api: Api, body: dict[str, Any]) -> None:
    assert api.post(KEYS, body).json()["scopes"] == []


@pytest.mark.security("Z-03")
@pytest.mark.finding("H4")
@pytest.mark.conformance("PD-05")
@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ({}, "/name", "required"),
        ([], "", "Send a JSON object"),
        ({"name": ""}, "/name", "blank"),
        ({"name": "x" * 101}, "/name", "up to 100 characters"),
        ({"name": "a\u202eb"}, "/name", "direction"),
        ({"name": 5.5e300}, "/name", "string"),
        ({"name": "x", "scope": ["reports:read"]}, "/scope", "Did you mean “scopes”?"),
        ({"name": "x", "nmae": "y"}, "/nmae", "Did you mean “name”?"),
        ({"name": "x", "owner": "usr_1"}, "/owner", "unknown"),
        ({"name": "x", "environment": "prod"}, "/environment", "live or test"),
        ({"name": "x", "scopes": "reports:read"}, "/scopes", "list"),
        ({"name": "x", "networks": ["203.0.113.0/24", "everywhere"]}, "/networks/1", "network"),
        ({"name": "x", "networks": ["::ffff:203.0.113.0/120"]}, "/networks/0", "Write 203.0.113.0/24 instead"),
        ({"name": "x", "networks": ["203.0.113.0/24", "203.0.113.7"]}, "/networks/1", "index 0"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at", "past"),
        ({"name": "x", "expires_at": "2030-01-01T00:00:00"}, "/expires_at", "zone"),
        ({"name": "x", "expires_at": "9999-12-31T23:59:59-23:59"}, "/expires_at", "zone"),
        ({"name": "x", "expires_at": "tomorrow"}, "/expires_at", "RFC 3339"),
        ({"name": "x", "show_once": "kp_live_x"}, "/show_once", "true or false"),
    ],
    ids=str,
)
def test_a_mistake_is_pointed_at_and_its_value_not_repeated(api: Api, body: Any, pointer: str, said: str) -> None:
    answer = api.post(KEYS, body)
    if body and "scopes" in body and body["scopes"] == ["reports:burn"]:
        assert problem_of(answer) == (403, "insufficient_scope")  # its caller has none that the catalogue lacks
        return
    assert problem_of(answer) == (400, "validation")
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert said in error["detail"]
    assert APIKey.objects.count() == 1


def test_a_list_is_paged_by_cursor_and_stable_while_keys_are_made(api: Api, make_key: MakeKey) -> None:
    made = [make_key(name=f"key {number}")[0].pk for number in range(5)]
    first = api.get(f"{KEYS}?limit=3").json()
    assert [key["id"] for key in first["items"]] == made[:1:-1]
    make_key(name="made meanwhile")
    second = api.get(f"{KEYS}?limit=3&cursor={first['next']}").json()
    assert [key["id"] for key in second["items"]][:2] == made[1::-1]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("state=paused", ["paused"]),
        ("state=active&environment=test", ["tested"]),
        ("q=PAUS", ["paused"]),
        ("q=nothing", []),
    ],
)
def test_a_list_is_filtered(api: Api, make_key: MakeKey, query: str, names: list[str]) -> None:
    make_key(name="tested", environment="test")
    services.pause(key=make_key(name="paused")[0], origin=ORIGIN)
    assert [key["name"] for key in api.get(f"{KEYS}?{query}").json()["items"]] == names


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=１", "limit"),
        ("limit=-1", "limit"),
        ("state=gone", "state"),
        ("environment=prod", "environment"),
        ("cursor=forged", "cursor"),
        ("page=2", "page"),
        ("limit=1&limit=2", "limit"),
        ("q=" + "x" * 101, "q"),
        ("satte=active", "satte"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(api: Api, query: str, name: str) -> None:
    answer = api.get(f"{KEYS}?{query}")
    assert problem_of(answer) == (400, "validation")
    assert pointers(answer) == [f"/{name}"]


@pytest.mark.security("Z-01")
def test_cursors_of_others_and_of_other_lists_are_refused(
    api: Api, make_key: MakeKey, make_user: MakeUser, developer: User
) -> None:
    for _ in range(2):
        make_key()
    cursor = api.get(f"{KEYS}?limit=1").json()["next"]
    other = Api(make_key(owner=make_user("other@example.com"), scopes=["keys:read"])[1])
    assert problem_of(other.get(f"{KEYS}?cursor={cursor}")) == (400, "validation")
    key = make_key()[0]
    assert problem_of(api.get(f"{KEYS}/{key.pk}/events?cursor={cursor}")) == (400, "validation")


@pytest.mark.security("Z-01")
@pytest.mark.conformance("BR-13")
def test_the_keys_of_others_are_as_unknown_as_random_ones(api: Api, make_key: MakeKey, make_user: MakeUser) -> None:
    theirs, secret = make_key(owner=make_user("other@example.com"))
    answers = []
    for key_id in (theirs.pk, "key_" + "0" * 22, "1", "%f0%9f%94%91"):
        for method, path in (
            *(("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/usage"), ("GET", "/events")),
            *(("POST", f"/{verb}") for verb in ("rotate", "end-overlap", "pause", "resume")),
        ):
            answer = api(method, f"{KEYS}/{key_id}{path}", {} if method == "POST" else None)
            answers.append((answer.status_code, answer.content))
    assert set(answers) == {answers[0]}
    assert answers[0][0] == 404
    assert outcome_of(secret) == "accepted"


def test_a_change_changes_what_it_names_and_nothing_else(api: Api, make_key: MakeKey) -> None:
    key, _ = make_key(name="before", scopes=["reports:read"], networks=["203.0.113.0/24"])
    for body, after in (
        ({"name": "after"}, {"name": "after", "scopes": ["reports:read"], "networks": ["203.0.113.0/24"]}),
        ({"scopes": []}, {"name": "after", "scopes": []}),
        ({"networks": []}, {"networks": [], "expires_at": None}),
        ({"expires_at": "2040-01-31T12:00:00+01:00"}, {"expires_at": "2040-01-31T11:00:00Z"}),
        ({"expires_at": "never"}, {"expires_at": None, "name": "after"}),
        ({}, {"name": "after"}),
    ):
        answer = api("PATCH", f"{KEYS}/{key.pk}", body)
        assert answer.status_code == 200
        assert {name: answer.json()[name] for name in after} == after


@pytest.mark.security("Z-03")
@pytest.mark.parametrize(
    "body",
    [
        {"owner": "usr_1"},
        {"environment": "test"},
        {"revoked_at": None},
        {"state": "active"},
        {"show_once": True},
        {"rate_limit": ""},
        {"name": None},
        {"id": "key_1"},
    ],
    ids=str,
)
def test_nothing_else_can_be_changed(api: Api, make_key: MakeKey, body: dict[str, Any]) -> None:
    key, _ = make_key()
    answer = api("PATCH", f"{KEYS}/{key.pk}", body)
    if body == {"name": None}:
        assert answer.status_code == 200  # null is the same as leaving it out
    else:
        assert problem_of(answer) == (400, "validation")
    assert APIKey.objects.get(pk=key.pk).seal == key.seal


def test_a_change_of_another_version_is_refused(api: Api, make_key: MakeKey) -> None:
    key, _ = make_key()
    path = f"{KEYS}/{key.pk}"
    tag = api.get(path)["ETag"]
    changed = api("PATCH", path, {"name": "first"}, If_Match=tag)
    assert changed.status_code == 200
    assert changed["ETag"] != tag
    for method, at, body in (("PATCH", path, {"name": "x"}), ("DELETE", path, None), ("POST", f"{path}/pause", {})):
        assert problem_of(api(method, at, body, If_Match=tag)) == (412, "changed_meanwhile")
    assert api("PATCH", path, {"name": "second"}, If_Match=f'"7", {changed["ETag"]}').status_code == 200
    assert api("PATCH", path, {"name": "third"}, If_Match="*").status_code == 200
    assert APIKey.objects.get(pk=key.pk).name == "third"


def test_use_does_not_change_the_version_and_every_verb_does(api: Api, make_key: MakeKey) -> None:
    key, _ = make_key()
    path = f"{KEYS}/{key.pk}"
    tags = [api.get(path)["ETag"]]
    tags += [api.post(f"{path}/{verb}", {})["ETag"] for verb in ("pause", "resume", "rotate", "end-overlap")]
    assert tags == [f'"{version}"' for version in range(1, 6)]
    assert api.get(path)["ETag"] == tags[-1]


def test_a_key_is_revoked_and_revoked_again(api: Api, make_key: MakeKey) -> None:
    key, secret = make_key()
    for _ in range(2):
        answer = api("DELETE", f"{KEYS}/{key.pk}?reason=not+needed+any+more")
        assert (answer.status_code, answer.content) == (204, b"")
    assert outcome_of(secret) == "revoked"
    assert api.get(f"{KEYS}/{key.pk}").json()["revoked_reason"] == "not needed any more"
    assert Event.objects.filter(verb="key_revoked").count() == 1
    _, secret = make_key()
    for odd in ("x" * 201, "a%07b", "%E2%80%AEabc", secret):
        answer = api("DELETE", f"{KEYS}/{key.pk}?reason={odd}")
        assert problem_of(answer) == (400, "validation")
        assert answer.json()["errors"][0]["pointer"] == "/reason"
        assert secret not in answer.content.decode()


def test_never_is_said_and_null_and_nothing_are_the_default(api: Api, make_key: MakeKey) -> None:
    services.set_policy(policy=KeyPolicy(environment="live", default_days=30), origin=ORIGIN)
    sent: list[dict[str, Any]] = [{}, {"expires_at": None}, {"expires_at": "never"}]
    made = [api.post(KEYS, {"name": "x", **expiry}).json() for expiry in sent]
    assert [key["expires_at"] is None for key in made] == [False, False, True]
    changed = [api("PATCH", f"{KEYS}/{made[0]['id']}", expiry).json()["expires_at"] for expiry in sent]
    assert changed == [made[0]["expires_at"], made[0]["expires_at"], None]
    services.set_policy(policy=KeyPolicy(environment="live", default_days=30, allows_never=False), origin=ORIGIN)
    refused = api.post(KEYS, {"name": "x", "expires_at": "never"})
    assert (problem_of(refused), pointers(refused)) == ((400, "validation"), ["/expires_at"])
    soon = timezone.now() + timedelta(days=9)
    caller = Api(make_key(scopes=["keys:write"], environment="test", expires_at=soon)[1])
    assert problem_of(caller.post(KEYS, {"name": "x", "expires_at": "never"})) == (403, "permission_denied")


def test_the_policies_hold_here_too(api: Api, settings: Any) -> None:
    services.set_policy(
        policy=KeyPolicy(environment="live", max_days=90, allows_never=False, default_days=30), origin=ORIGIN
    )
    late = (timezone.now() + timedelta(days=100)).isoformat()
    answer = api.post(KEYS, {"name": "x", "expires_at": late})
    assert (problem_of(answer), pointers(answer)) == ((400, "validation"), ["/expires_at"])
    made = api.post(KEYS, {"name": "x"}).json()
    assert made["expires_at"] is not None
    answer = api("PATCH", f"{KEYS}/{made['id']}", {"expires_at": "never"})
    assert (problem_of(answer), pointers(answer)) == ((400, "validation"), ["/expires_at"])
    settings.KEYPORTAL_MAX_KEYS = 2
    assert problem_of(api.post(KEYS, {"name": "x"})) == (409, "limit_reached")
