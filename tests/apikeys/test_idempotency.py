"""A call that is repeated with its Idempotency-Key gets the first answer, and is carried out once."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.models import User
from apikeys import services
from apikeys.models import APIKey, IdempotentAnswer, KeyPolicy
from apikeys.services.idempotency import destroy_used_answers
from apikeys.services.rotation import current_secret
from apikeys.verification import verify
from audit.models import Event
from credentials.usage.models import SourceAddress
from tests.apikeys.management import KEYS, Api
from tests.conftest import ORIGIN, MakeKey
from tokens.services import issue_to_key, issue_to_try, issue_to_user

pytestmark = pytest.mark.django_db
BODY = {"name": "made once"}


@pytest.fixture
def api(make_key: MakeKey) -> Api:
    """The API for a key that manages keys."""
    return Api(make_key(name="manager", scopes=["keys:read", "keys:write"])[1])


def problem_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def made() -> int:
    return APIKey.objects.exclude(name="manager").count()


def test_a_creation_whose_answer_was_lost_is_repeated_and_shows_the_secret(api: Api) -> None:
    first, second = (api.post(KEYS, BODY, Idempotency_Key="deploy-7") for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert second.json() == first.json()
    assert "Idempotency-Replayed" not in first
    assert second["Idempotency-Replayed"] == "true"
    assert (second["Location"], second["ETag"]) == (first["Location"], first["ETag"])
    assert made() == 1


def test_another_call_under_the_same_name_is_refused(api: Api) -> None:
    api.post(KEYS, BODY, Idempotency_Key="a")
    assert problem_of(api.post(KEYS, {"name": "another"}, Idempotency_Key="a")) == (422, "idempotency_mismatch")
    assert problem_of(api.post(f"{KEYS}?x", BODY, Idempotency_Key="a")) == (422, "idempotency_mismatch")
    assert made() == 1
    assert api.post(KEYS, BODY, Idempotency_Key="b").status_code == 201
    assert made() == 2


def test_the_names_of_two_callers_are_apart(api: Api, make_key: MakeKey) -> None:
    other = Api(make_key(name="manager", scopes=["keys:write"])[1])
    answers = [caller.post(KEYS, BODY, Idempotency_Key="same").json()["id"] for caller in (api, other)]
    assert len(set(answers)) == 2


def test_a_call_that_failed_is_carried_out_when_it_is_repeated(api: Api, settings: Any) -> None:
    settings.KEYPORTAL_MAX_KEYS = 1
    assert problem_of(api.post(KEYS, BODY, Idempotency_Key="a")) == (409, "limit_reached")
    settings.KEYPORTAL_MAX_KEYS = 2
    assert api.post(KEYS, BODY, Idempotency_Key="a").status_code == 201


def test_an_answer_is_kept_for_a_day(api: Api) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        first = api.post(KEYS, BODY, Idempotency_Key="a").json()["id"]
        clock.shift(timedelta(hours=23, minutes=59))
        assert api.post(KEYS, BODY, Idempotency_Key="a").json()["id"] == first
        clock.shift(timedelta(minutes=1))
        assert api.post(KEYS, BODY, Idempotency_Key="a").json()["id"] != first


@pytest.mark.security("K-02")
def test_an_answer_is_sealed_and_opens_in_no_other_row(api: Api) -> None:
    secret = api.post(KEYS, BODY, Idempotency_Key="a").json()["secret"]
    api.post(KEYS, BODY, Idempotency_Key="b")
    one, other = IdempotentAnswer.objects.order_by("created_at")
    assert one.content is not None
    assert secret.encode() not in bytes(one.content)
    assert b"deploy" not in bytes(one.call)
    IdempotentAnswer.objects.filter(pk=other.pk).update(content=one.content)
    assert api.post(KEYS, BODY, Idempotency_Key="b").status_code == 503


@pytest.mark.parametrize("verb", ["revoke", "rotate"])
def test_the_secret_in_an_answer_goes_with_the_secret(api: Api, verb: str) -> None:
    key_id = api.post(KEYS, BODY, Idempotency_Key="a").json()["id"]
    key = APIKey.objects.get(pk=key_id)
    if verb == "revoke":
        services.revoke(key=key, reason="", origin=ORIGIN)
    else:
        services.rotate(key=key, replaces=current_secret(key).pk, origin=ORIGIN)
    assert IdempotentAnswer.objects.get().content is None
    assert problem_of(api.post(KEYS, BODY, Idempotency_Key="a")) == (409, "answer_destroyed")
    assert made() == 1


def test_a_secret_that_is_shown_once_is_not_shown_again_after_its_first_use(api: Api) -> None:
    body = {**BODY, "show_once": True}
    made_once = api.post(KEYS, body, Idempotency_Key="a").json()
    kept = api.post(KEYS, BODY, Idempotency_Key="b").json()
    assert api.post(KEYS, body, Idempotency_Key="a").json()["secret"] == made_once["secret"]
    used(made_once)
    used(kept)
    assert problem_of(api.post(KEYS, body, Idempotency_Key="a")) == (409, "answer_destroyed")
    assert destroy_used_answers() == 1
    assert IdempotentAnswer.objects.filter(content=None).count() == 1
    assert api.post(KEYS, BODY, Idempotency_Key="b").json()["secret"] == kept["secret"]


def used(body: dict[str, Any]) -> None:
    """Note a use of the key's newest secret, as the counters do."""
    place = {"credential": body["id"], "secret": body["secrets"][0]["id"], "address": "192.0.2.1"}
    SourceAddress.objects.create(**place, first_at=timezone.now(), last_at=timezone.now())


def test_a_secret_that_is_answered_again_is_an_event(api: Api, make_key: MakeKey) -> None:
    made_once = api.post(KEYS, BODY, Idempotency_Key="a").json()
    assert not Event.objects.filter(verb="secret_repeated").exists()
    api.post(KEYS, BODY, Idempotency_Key="a")
    event = Event.objects.get(verb="secret_repeated")
    assert (event.subject_id, event.actor[:4]) == (made_once["id"], "key:")
    other, _ = make_key(name="manager")
    for _ in range(2):
        api.post(f"{KEYS}/{other.pk}/pause", {}, Idempotency_Key="b")
    assert Event.objects.filter(verb="secret_repeated").count() == 1


@pytest.mark.usefixtures("scopes")
def test_a_caller_that_may_do_less_now_is_not_answered_again(make_key: MakeKey) -> None:
    key, secret = make_key(name="manager", scopes=["keys:write", "reports:read"])
    body = {**BODY, "scopes": ["reports:read"]}
    assert Api(secret).post(KEYS, body, Idempotency_Key="a").status_code == 201
    client = verify(secret, address=ip_address("127.0.0.1"))
    narrow = Api(issue_to_key(client=client, scopes=["keys:write"], origin=ORIGIN).access_token)
    assert problem_of(narrow.post(KEYS, body, Idempotency_Key="a")) == (403, "insufficient_scope")
    services.edit_key(key=key, name=key.name, scopes=["keys:write"], networks=[], expires_at=None, origin=ORIGIN)
    assert problem_of(Api(secret).post(KEYS, body, Idempotency_Key="a")) == (403, "insufficient_scope")
    assert made() == 1


def test_a_token_to_try_calls_is_not_answered_with_a_live_secret(developer: User) -> None:
    live = Api(issue_to_user(user=developer, scopes=["keys:write"], agent="", origin=ORIGIN).access_token)
    assert live.post(KEYS, BODY, Idempotency_Key="a").json()["environment"] == "live"
    trial = Api(issue_to_try(user=developer, origin=ORIGIN).access_token)
    assert problem_of(trial.post(KEYS, BODY, Idempotency_Key="a")) == (403, "permission_denied")


def test_a_former_secret_is_not_answered_again_for_another_key(make_key: MakeKey) -> None:
    key, leaked = make_key(name="manager", scopes=["keys:write"])
    assert Api(leaked).post(KEYS, BODY, Idempotency_Key="a").status_code == 201
    services.rotate(key=key, replaces=current_secret(key).pk, origin=ORIGIN)
    assert problem_of(Api(leaked).post(KEYS, BODY, Idempotency_Key="a")) == (403, "permission_denied")


def test_a_key_that_rotated_itself_asks_again_until_it_has_used_its_new_secret(make_key: MakeKey) -> None:
    key, former = make_key(scopes=["self:rotate"])
    path, once = f"{KEYS}/{key.pk}/rotate", {"Idempotency_Key": "yearly"}
    first = Api(former).post(path, {}, **once).json()
    assert Api(former).post(path, {}, **once).json() == first
    used(first)
    assert problem_of(Api(former).post(path, {}, **once)) == (409, "answer_destroyed")
    assert destroy_used_answers() == 0
    assert Api(first["secret"]).post(path, {}, **once).json() == first  # which is nothing new to it


@pytest.mark.usefixtures("scopes")
def test_a_token_of_a_key_is_not_answered_with_the_secret_of_that_key(make_key: MakeKey) -> None:
    key, former = make_key(scopes=["keys:write", "self:rotate", "reports:read"])
    client = verify(former, address=ip_address("127.0.0.1"))
    narrow = Api(issue_to_key(client=client, scopes=["keys:write"], origin=ORIGIN).access_token)
    path, once = f"{KEYS}/{key.pk}/rotate", {"Idempotency_Key": "yearly"}
    assert Api(former).post(path, {}, **once).status_code == 201
    assert problem_of(narrow.post(path, {}, **once)) == (403, "permission_denied")


def test_where_secrets_are_not_shown_again_a_used_one_is_not_answered_again(api: Api) -> None:
    body = api.post(KEYS, BODY, Idempotency_Key="a").json()
    services.set_policy(policy=KeyPolicy(environment="live", allows_reveal=False), origin=ORIGIN)
    assert api.post(KEYS, BODY, Idempotency_Key="a").json() == body
    used(body)
    assert problem_of(api.post(KEYS, BODY, Idempotency_Key="a")) == (409, "answer_destroyed")


@pytest.mark.security("integrity")
@pytest.mark.parametrize("change", [{"holds_secret": False}, {"created_at": timezone.now() + timedelta(days=9)}])
def test_an_answer_that_was_changed_outside_the_portal_is_not_given(api: Api, change: dict[str, Any]) -> None:
    secret = api.post(KEYS, BODY, Idempotency_Key="a").json()["secret"]
    IdempotentAnswer.objects.update(**change)
    answer = api.post(KEYS, BODY, Idempotency_Key="a")
    assert problem_of(answer) == (503, "unavailable")
    assert secret not in answer.content.decode()


def test_every_verb_is_carried_out_once(api: Api, make_key: MakeKey) -> None:
    key, _ = make_key()
    for verb, body in (("pause", {"reason": "x"}), ("resume", {}), ("rotate", {}), ("end-overlap", {})):
        first, second = (api.post(f"{KEYS}/{key.pk}/{verb}", body, Idempotency_Key=verb) for _ in range(2))
        assert first.json() == second.json()
        assert second["Idempotency-Replayed"] == "true"
    assert key.secrets.count() == 2


@pytest.mark.parametrize("name", ["", " ", "a b", "x" * 256, "é", "a\tb"])
def test_a_name_is_visible_and_short(api: Api, name: str) -> None:
    assert problem_of(api.post(KEYS, BODY, Idempotency_Key=name)) == (400, "validation")
    assert api.post(KEYS, BODY, Idempotency_Key="x" * 255).status_code == 201
    assert made() == 1
