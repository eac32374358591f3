"""Operators set what the keys of an environment may have, and see what it means for those that exist."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from apikeys import services
from apikeys.models import APIKey, KeyPolicy
from apikeys.services.policies import policy_of
from audit.models import Event
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeKey, MakeUser
from tests.keyportal.operators_desk import desk
from tests.keyportal.test_admin_pause import text_of
from tests.tampering import sql

__all__ = ["desk"]

pytestmark = pytest.mark.django_db
POLICIES = "/admin/apikeys/keypolicy/"
LIVE = f"{POLICIES}live/change/"
OPEN = {"max_days": "", "allows_never": "on", "default_days": "", "allows_reveal": "on", "max_keys": ""}
"""The form of a policy that bounds nothing."""
STRICT = {"max_days": "90", "allows_never": "off", "default_days": "30", "allows_reveal": "off", "max_keys": "5"}


def save(desk: Client, bounds: Mapping[str, str], *, follow: bool = True) -> Any:
    """Save the form of the live policy as a browser does: a box that is not ticked is not sent."""
    sent = {name: value for name, value in {**OPEN, **bounds}.items() if value != "off"}
    return desk.post(LIVE, sent, secure=True, follow=follow)


def in_days(days: float) -> Any:
    return timezone.now() + timedelta(days=days)


def rows_of(answer: Any) -> list[str]:
    """Return the words of each row of the list."""
    page = answer.content.decode()
    icons = re.sub(r'<img[^>]* alt="(True|False)">', r"\1", page)
    rows = re.findall(r"<tr>(.*?)</tr>", icons.partition("<tbody>")[2], re.DOTALL)
    return [" ".join(re.sub("<[^>]+>", " ", row).split()) for row in rows]


def test_both_environments_are_listed_before_there_is_a_row(desk: Client) -> None:
    answer = desk.get(POLICIES, secure=True)
    assert not KeyPolicy.objects.exists()
    assert rows_of(answer) == [
        "Live no limit True never True no limit 0 True",
        "Test no limit True never True no limit 0 True",
    ]
    assert "2 key policies" in text_of(answer).lower()
    page = desk.get(LIVE, secure=True).content.decode()
    assert re.search(r'name="allows_never"[^>]* checked', page)
    assert re.search(r'name="allows_reveal"[^>]* checked', page)
    assert "Policy for live keys" in page
    assert "How far ahead an expiry may be set. Leave empty for no limit." in page
    assert not KeyPolicy.objects.exists()


def test_a_policy_is_set_by_the_verb_and_read_in_the_history(desk: Client, operator: User) -> None:
    answer = save(desk, {**STRICT, "max_keys": "1"})
    assert "The policy for live keys is saved." in text_of(answer)
    assert rows_of(answer)[0] == "Live 90 days False 30 days False 1 0 True"
    policy = policy_of("live")
    assert (policy.max_days, policy.allows_never, policy.default_days) == (90, False, 30)
    assert (policy.allows_reveal, policy.max_keys) == (False, 1)
    event = Event.objects.get(verb="policy_changed")
    assert (event.actor, event.subject_type, event.subject_id) == (f"user:{operator.pk}", "policy", "live")
    history = text_of(desk.get(f"{POLICIES}live/history/", secure=True))
    assert "Key policy changed maximum lifetime in days: 90, allow keys that never expire: no" in history
    assert "maximum keys per developer: 1" in history
    assert not KeyPolicy.objects.filter(pk="test").exists()


@pytest.mark.parametrize(
    ("bounds", "field", "says"),
    [
        ({"allows_never": "off"}, "default_days", "Enter a default, because keys that never expire aren't allowed."),
        ({"max_days": "7", "default_days": "30"}, "default_days", "longer than the maximum lifetime, 7 days."),
        ({"max_days": "0"}, "max_days", "greater than or equal to 1"),
        ({"max_days": "36501"}, "max_days", "less than or equal to 36500"),
        ({"default_days": "0"}, "default_days", "greater than or equal to 1"),
        ({"default_days": "x", "allows_never": "off"}, "default_days", "Enter a whole number."),
        ({"max_keys": "1000001"}, "max_keys", "less than or equal to 1000000"),
    ],
)
def test_what_contradicts_itself_is_explained_beside_its_field(
    desk: Client, bounds: dict[str, str], field: str, says: str
) -> None:
    page = save(desk, bounds).content.decode()
    [error] = re.findall(r'<ul class="errorlist" id="id_(\w+)_error"><li>(.*?)</li></ul>', page)
    assert (error[0], says in error[1].replace("&#x27;", "'")) == (field, True)
    assert not KeyPolicy.objects.exists()


def test_what_exists_is_counted_and_kept(desk: Client, make_key: MakeKey, make_user: MakeUser) -> None:
    for at in (None, None, in_days(400), in_days(91.5), in_days(90), in_days(30)):
        make_key(expires_at=at)
    services.revoke(key=make_key()[0], reason="", origin=ORIGIN)
    make_key(expires_at=in_days(-1))
    make_key(environment="test")
    make_key(owner=make_user("few@example.com"), expires_at=in_days(1))
    before = sorted(APIKey.objects.values_list("pk", "expires_at"))
    page = text_of(save(desk, {**STRICT, "allows_reveal": "on", "max_keys": "6"}))
    outside = "2 keys without an expiry, 2 keys with a later expiry, 1 developer with more keys"
    assert f"Outside of it, and left as they are: {outside}." in page
    assert rows_of(desk.get(POLICIES, secure=True)) == [
        "Live 90 days False 30 days True 6 4 True",
        "Test no limit True never True no limit 0 True",
    ]
    assert f"until their owners change them: {outside} ." in text_of(desk.get(LIVE, secure=True))
    assert "are within the policy as it is saved" in text_of(desk.get(f"{POLICIES}test/change/", secure=True))
    assert sorted(APIKey.objects.values_list("pk", "expires_at")) == before


@pytest.mark.security("integrity")
@pytest.mark.parametrize("value", ["max_days = 36500", "allows_never = true", "seal = 'x'"])
def test_a_policy_that_was_tampered_with_is_shown_as_such_and_repaired_by_saving(
    log_in: LogIn, operator: User, make_key: MakeKey, value: str
) -> None:
    desk = log_in(operator, ago=301)
    services.set_policy(
        policy=KeyPolicy(environment="live", max_days=90, allows_never=False, default_days=30), origin=ORIGIN
    )
    sql(f"UPDATE apikeys_keypolicy SET {value}")
    assert rows_of(desk.get(POLICIES, secure=True))[0].endswith("unknown False")
    assert "This policy was changed outside the portal." in text_of(desk.get(LIVE, secure=True))
    answer = save(desk, STRICT, follow=False)
    assert answer["Location"].startswith("/accounts/reauthenticate/")  # who knows what it allowed before
    save(log_in(operator), STRICT)
    assert policy_of("live").max_days == 90
    assert "This policy was changed" not in text_of(desk.get(LIVE, secure=True))
    make_key(expires_at=in_days(1))


@pytest.mark.finding("H6")
@pytest.mark.parametrize(
    "more",
    [
        {"max_days": "91"},
        {"max_days": ""},
        {"default_days": "31"},
        {"max_keys": "6"},
        {"allows_never": "on"},
        {"allows_reveal": "on"},
    ],
    ids=str,
)
def test_allowing_more_needs_a_fresh_log_in_and_what_was_typed_is_kept(
    log_in: LogIn, operator: User, more: dict[str, str]
) -> None:
    bounds = {"max_days": 90, "allows_never": False, "default_days": 30, "allows_reveal": False, "max_keys": 5}
    services.set_policy(policy=KeyPolicy(environment="live", **bounds), origin=ORIGIN)
    stale = log_in(operator, ago=301)
    save(stale, {**STRICT, "max_days": "89", "default_days": "29", "max_keys": "4"})
    assert policy_of("live").max_days == 89
    services.set_policy(policy=KeyPolicy(environment="live", **bounds), origin=ORIGIN)
    answer = save(stale, {**STRICT, **more}, follow=False)
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    policy = policy_of("live")
    assert {name: getattr(policy, name) for name in bounds} == bounds
    back = stale.post(answer["Location"], {"password": PASSWORD}, secure=True)
    page = stale.get(back["Location"], secure=True).content.decode()
    assert "What you typed is still here but has not been sent. Press “Save” again." in page
    [(name, value)] = more.items()
    if value == "on":
        assert re.search(rf'name="{name}"[^>]* checked', page)
    elif value:
        assert re.search(rf'name="{name}" value="{value}"', page)


@pytest.mark.parametrize("path", ["add/", "live/delete/", "prod/change/", "prod/history/"])
def test_there_is_one_policy_for_each_environment_and_no_other(desk: Client, path: str) -> None:
    assert desk.get(f"{POLICIES}{path}", secure=True).status_code in (403, 404)
    assert desk.post(f"{POLICIES}{path}", {**OPEN, "post": "yes"}, secure=True).status_code in (403, 404, 405)
    assert not KeyPolicy.objects.exists()
