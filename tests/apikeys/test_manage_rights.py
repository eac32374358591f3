"""A caller of the management API never gives a key more than it has, and a log-in acts for its whole account."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from apikeys import services
from apikeys.api.callers import NO_STRONGER_KEY, OWN_SCOPES_ONLY
from apikeys.models import APIKey, KeySecret
from audit.models import Event
from credentials.scopes.models import Scope
from credentials.scopes.services import remove_scope
from tests.apikeys.management import KEYS, Api
from tests.apikeys.verifying import outcome_of
from tests.conftest import ORIGIN, MakeKey
from tokens.services import issue_to_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("scopes")]
MANAGER = ["keys:read", "keys:write"]


def problem_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def log_in(user: User, *scopes: str) -> Api:
    """Return the API for a log-in's access token with these scopes."""
    return Api(issue_to_user(user=user, scopes=scopes or None, agent="", origin=ORIGIN).access_token)


@pytest.mark.security("Z-02")
@pytest.mark.conformance("BR-07")
@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "", "keys:read"),
        ("GET", "/{key}", "keys:read"),
        ("GET", "/{key}/usage", "keys:read"),
        ("GET", "/{key}/events", "keys:read"),
        ("POST", "", "keys:write"),
        ("PATCH", "/{key}", "keys:write"),
        ("DELETE", "/{key}", "keys:write"),
        ("POST", "/{key}/rotate", "keys:write"),
        ("POST", "/{key}/end-overlap", "keys:write"),
        ("POST", "/{key}/pause", "keys:write"),
        ("POST", "/{key}/resume", "keys:write"),
    ],
)
def test_each_call_needs_its_scope(make_key: MakeKey, method: str, path: str, needed: str) -> None:
    other = {"keys:read": "keys:write", "keys:write": "keys:read"}[needed]
    key, _ = make_key()
    for scopes in ([], [other], ["self:rotate"]):
        answer = Api(make_key(scopes=scopes)[1])(method, KEYS + path.format(key=key.pk), {})
        assert problem_of(answer) == (403, "insufficient_scope")
        assert f'scope="{needed}"' in answer["WWW-Authenticate"]
    allowed = Api(make_key(scopes=[needed])[1])(
        method, KEYS + path.format(key=key.pk), {"name": "x"} if not path else {}
    )
    assert allowed.status_code in (200, 201, 204)


@pytest.mark.conformance("BR-12")
def test_without_a_credential_there_is_a_challenge(client: Any) -> None:
    for path in (KEYS, f"{KEYS}/key_1", "/api/v1/scopes"):
        answer = client.get(path, secure=True)
        assert (answer.status_code, answer.json()["code"]) == (401, "missing_credential")
        assert "error" not in answer["WWW-Authenticate"]


@pytest.mark.security("Z-03")
def test_a_key_gives_no_scope_that_it_lacks(make_key: MakeKey) -> None:
    key, secret = make_key(scopes=[*MANAGER, "reports:read"])
    api = Api(secret)
    answer = api.post(KEYS, {"name": "x", "scopes": ["reports:read", "reports:write"]})
    assert problem_of(answer) == (403, "insufficient_scope")
    assert 'scope="reports:write"' in answer["WWW-Authenticate"]
    said = answer.json()
    assert (said["key"], said["name"], said["detail"]) == (key.pk, key.name, OWN_SCOPES_ONLY)
    assert said["errors"] == [{"pointer": "/scopes", "detail": OWN_SCOPES_ONLY}]
    other, _ = make_key(scopes=["reports:write"])
    path = f"{KEYS}/{other.pk}"
    assert api("PATCH", path, {"scopes": ["reports:write", "keys:write"]}).status_code == 200
    assert problem_of(api("PATCH", path, {"scopes": ["secrets:all"]})) == (403, "permission_denied")
    assert api("PATCH", path, {"scopes": ["reports:write", "reports:read"]}).status_code == 200
    assert api("PATCH", path, {"scopes": []}).status_code == 200


def test_a_key_takes_no_secret_of_a_key_that_may_do_more(make_key: MakeKey) -> None:
    api = Api(make_key(scopes=MANAGER)[1])
    stronger, secret = make_key(scopes=["reports:write"])
    refused = api.post(f"{KEYS}/{stronger.pk}/rotate", {})
    assert problem_of(refused) == (403, "insufficient_scope")
    assert refused.json()["detail"] == NO_STRONGER_KEY
    assert KeySecret.objects.filter(key=stronger).count() == 1
    assert api.post(f"{KEYS}/{stronger.pk}/pause", {}).status_code == 200  # to stop it needs no more than keys:write
    assert problem_of(api.post(f"{KEYS}/{stronger.pk}/resume", {})) == (403, "insufficient_scope")
    assert outcome_of(secret) == "paused"


def test_a_key_takes_no_secret_of_a_key_with_a_higher_rate_limit(make_key: MakeKey) -> None:
    manager, secret = make_key(scopes=MANAGER)
    other, _ = make_key()
    services.set_rate_limit(key=manager, limit="10/minute", origin=ORIGIN)
    for limit, code in (("100000/minute", 403), ("", 403), ("5/minute", 201)):
        services.set_rate_limit(key=APIKey.objects.get(pk=other.pk), limit=limit, origin=ORIGIN)
        assert Api(secret).post(f"{KEYS}/{other.pk}/rotate", {"overlap": 0}).status_code == code


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        ({"networks": ["10.0.0.0/8"]}, {"networks": []}),
        ({"expires_at": timedelta(hours=-1)}, {"expires_at": "never"}),
        ({"expires_at": timedelta(hours=1)}, {"expires_at": "never"}),
    ],
)
def test_a_key_gives_no_more_addresses_or_time_to_a_key_that_may_do_more(
    make_key: MakeKey, fields: dict[str, Any], change: dict[str, Any]
) -> None:
    if "expires_at" in fields:
        fields = {"expires_at": timezone.now() + fields["expires_at"]}
    stronger, secret = make_key(scopes=["reports:write"], **fields)
    before = outcome_of(secret)
    api = Api(make_key(scopes=MANAGER)[1])
    assert problem_of(api("PATCH", f"{KEYS}/{stronger.pk}", change)) == (403, "insufficient_scope")
    assert outcome_of(secret) == before
    equal = Api(make_key(scopes=[*MANAGER, "reports:write"])[1])
    assert equal("PATCH", f"{KEYS}/{stronger.pk}", change).status_code == 200
    assert outcome_of(secret) == "accepted"


def test_a_key_that_is_bound_gives_no_scope_to_a_key_that_is_not(make_key: MakeKey) -> None:
    other, _ = make_key()
    for bound in ({"networks": ["127.0.0.0/8"]}, {"expires_at": timezone.now() + timedelta(days=1)}):
        api = Api(make_key(scopes=MANAGER, **bound)[1])
        answer = api("PATCH", f"{KEYS}/{other.pk}", {"scopes": ["keys:write"]})
        assert problem_of(answer) == (403, "permission_denied")


def test_a_key_that_was_changed_outside_the_portal_is_compared_with_nothing(make_key: MakeKey) -> None:
    api = Api(make_key(scopes=[*MANAGER, "reports:read"])[1])
    other, _ = make_key()
    APIKey.objects.filter(pk=other.pk).update(networks="nonsense", rate_limit="much")
    changes: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("PATCH", "", {"networks": []}),
        ("POST", "/rotate", {}),
        ("POST", "/resume", {}),
    )
    for method, path, body in changes:
        answer = api(method, f"{KEYS}/{other.pk}{path}", body)
        assert problem_of(answer) == (409, "conflict")
        assert "outside the portal" in answer.json()["detail"]


@pytest.mark.parametrize("who", ["key", "log-in"])
def test_a_scope_that_does_not_exist_is_never_repeated(make_key: MakeKey, developer: User, who: str) -> None:
    _, secret = make_key()
    other, _ = make_key()
    api = Api(make_key(scopes=MANAGER)[1]) if who == "key" else log_in(developer, *MANAGER)
    for method, path, more in (("POST", KEYS, {"name": "x"}), ("PATCH", f"{KEYS}/{other.pk}", {})):
        answer = api(method, path, {**more, "scopes": ["keys:read", secret, "a\nb"]})
        assert problem_of(answer) == ((403, "permission_denied") if who == "key" else (400, "validation"))
        [error] = answer.json()["errors"]
        assert error["pointer"] == "/scopes"
        assert ("number 2 and 3 of these scopes" in error["detail"]) is (who == "log-in")
        assert secret not in answer.content.decode() + str(dict(answer.headers))


def test_a_scope_that_only_operators_grant_is_as_unknown_as_one_that_does_not_exist(make_key: MakeKey) -> None:
    api = Api(make_key(scopes=MANAGER)[1])
    answers = [api.post(KEYS, {"name": "x", "scopes": [name]}) for name in ("secrets:all", "secrets:none")]
    assert {(problem_of(answer), answer.json()["detail"]) for answer in answers} == {
        ((403, "permission_denied"), OWN_SCOPES_ONLY)
    }


def test_a_scope_that_is_gone_is_not_named(make_key: MakeKey) -> None:
    stronger, _ = make_key(scopes=["reports:write"])
    remove_scope(scope=Scope.objects.get(name="reports:write"), origin=ORIGIN)
    answer = Api(make_key(scopes=MANAGER)[1]).post(f"{KEYS}/{stronger.pk}/rotate", {})
    assert problem_of(answer) == (403, "permission_denied")
    assert "reports:write" not in answer.content.decode() + str(dict(answer.headers))


def test_a_test_key_manages_test_keys_only(make_key: MakeKey) -> None:
    api = Api(make_key(environment="test", scopes=MANAGER)[1])
    live, secret = make_key()
    assert live.pk not in str(api.get(KEYS).json())
    assert problem_of(api("DELETE", f"{KEYS}/{live.pk}")) == (404, "not_found")
    assert problem_of(api.post(KEYS, {"name": "x", "environment": "live"})) == (403, "permission_denied")
    assert api.post(KEYS, {"name": "x"}).json()["environment"] == "test"
    assert outcome_of(secret) == "accepted"
    live_api = Api(make_key(scopes=MANAGER)[1])
    assert live_api.post(KEYS, {"name": "x", "environment": "test"}).status_code == 201


def test_networks_and_expiry_are_not_wider_where_its_own_are_bound(make_key: MakeKey) -> None:
    end = timezone.now() + timedelta(days=10)
    networks = ["127.0.0.0/8", "203.0.113.0/24"]
    key, secret = make_key(scopes=MANAGER, networks=networks, expires_at=end)
    api = Api(secret)
    for body, pointer in (
        ({"networks": []}, "/networks"),
        ({"networks": ["198.51.100.1"]}, "/networks"),
        ({"expires_at": (end + timedelta(days=1)).isoformat()}, "/expires_at"),
    ):
        answer = api.post(KEYS, {"name": "x", **body})
        assert problem_of(answer) == (403, "permission_denied")
        assert answer.json()["errors"][0]["pointer"] == pointer
    made = api.post(KEYS, {"name": "x"}).json()
    assert made["networks"] == networks
    assert APIKey.objects.get(pk=made["id"]).expires_at == end
    assert api.post(KEYS, {"name": "x", "networks": ["203.0.113.7"]}).status_code == 201
    assert problem_of(api("PATCH", f"{KEYS}/{key.pk}", {"expires_at": "never"})) == (403, "permission_denied")
    assert problem_of(api("PATCH", f"{KEYS}/{made['id']}", {"networks": []})) == (403, "permission_denied")


def test_a_limit_of_its_own_is_given_on(make_key: MakeKey) -> None:
    key, secret = make_key(scopes=MANAGER)
    services.set_rate_limit(key=key, limit="50/minute", origin=ORIGIN)
    assert Api(secret).post(KEYS, {"name": "x"}).json()["rate_limit"] == "50/minute"


@pytest.mark.conformance("OT-12")
def test_a_token_manages_keys_only_if_that_was_asked_for(make_key: MakeKey, developer: User) -> None:
    make_key(scopes=["reports:read"])
    refused = log_in(developer).get(KEYS)
    assert problem_of(refused) == (403, "insufficient_scope")
    assert (refused.json()["token"][:4], refused.json()["client"]) == ("tok_", "portal")
    api = log_in(developer, *MANAGER)
    made = api.post(KEYS, {"name": "from the command line", "scopes": ["reports:write"]})
    assert made.status_code == 201
    assert problem_of(api.post(KEYS, {"name": "x", "scopes": ["secrets:all"]})) == (400, "validation")
    assert Event.objects.get(verb="key_created", subject_id=made.json()["id"]).actor == f"user:{developer.pk}"
    assert api.post(f"{KEYS}/{made.json()['id']}/rotate", {}).status_code == 201


def test_the_catalogue_is_what_the_caller_can_give(make_key: MakeKey, developer: User) -> None:
    def names(api: Api) -> set[str]:
        return {scope["name"] for scope in api.get("/api/v1/scopes").json()["items"]}

    every = {"keys:read", "keys:write", "self:rotate", "reports:read", "reports:write"}
    assert names(log_in(developer, "keys:read")) == every
    assert names(Api(make_key(scopes=["keys:read", "reports:read"])[1])) == {"keys:read", "reports:read"}


def test_a_key_that_was_made_by_a_key_says_so_in_its_history(make_key: MakeKey) -> None:
    maker, secret = make_key(scopes=MANAGER)
    api = Api(secret)
    made = api.post(KEYS, {"name": "x"}).json()
    [event] = api.get(f"{KEYS}/{made['id']}/events").json()["items"]
    assert (event["type"], event["by"]) == ("key_created", f"with the key {maker.pk}")


@pytest.mark.parametrize("restricted", [True, False])
def test_a_scope_that_an_operator_granted_is_not_given_on(make_key: MakeKey, *, restricted: bool) -> None:
    Scope.objects.create(name="extra:all", description="x", restricted=restricted)
    _, secret = make_key(scopes=[*MANAGER, "extra:all"], restricted=True)
    answer = Api(secret).post(KEYS, {"name": "x", "scopes": ["extra:all"]})
    assert answer.status_code == (400 if restricted else 201)
