"""What must not tell whether an account or a client exists costs the same work, whichever it is."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.test import Client
from pytest_django import Settings

from accounts.models import AttemptWindow, User
from accounts.services import deactivate_user
from integrity.rings import index_ring
from keyportal import settings as portal_settings
from tests.conftest import ORIGIN, MakeKey, MakeUser
from tests.oauth_client import FORM, basic
from tests.work import QUICK, equal_work
from vault.digests import index_digest
from vault.secret_format import new_id, new_secret

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H9")]


@pytest.fixture(autouse=True)
def in_one_window(time_machine: Any) -> None:
    """Let the clock stand: a window of a limit that begins meanwhile is a row more."""
    time_machine.move_to(1_800_000_010, tick=False)


def forget_guesses() -> None:
    AttemptWindow.objects.all().delete()


def warm_up(actions: dict[str, Callable[[], None]]) -> dict[str, Callable[[], None]]:
    """Do each once: what a process does only once is done then."""
    for action in actions.values():
        forget_guesses()
        action()
    return actions


@pytest.mark.conformance("OT-19")
def test_an_unknown_client_and_a_wrong_secret_take_equally_long(client: Client, make_key: MakeKey) -> None:
    wrong = new_secret("kp", "live")

    def ask(client_id: str) -> None:
        headers = {"Authorization": basic(client_id, wrong)}
        answer = client.post(
            "/oauth/token", "grant_type=client_credentials", content_type=FORM, secure=True, headers=headers
        )
        assert answer.status_code == 401

    names = {"unknown client": new_id("key"), "wrong secret": make_key()[0].pk, "no id": "x"}
    asking = warm_up({what: partial(ask, name) for what, name in names.items()})
    work = equal_work(asking, before=forget_guesses)
    assert (dict(work.hashes), work.messages) == ({}, 0)
    assert work.macs >= 1
    assert work.queries


@pytest.mark.conformance("BA-09")
@pytest.mark.security("A-13")
def test_guesses_at_every_kind_of_account_take_equally_long(
    client: Client, developer: User, make_user: MakeUser, settings: Settings
) -> None:
    settings.PASSWORD_HASHERS = [QUICK, *portal_settings.PASSWORD_HASHERS[1:]]
    make_user("wrong@example.com")
    make_user("unconfirmed@example.com", confirmed=False)
    make_user("unusable@example.com", password=None)
    deactivate_user(user=make_user("inactive@example.com"), origin=ORIGIN)

    def guess(email: str) -> None:
        headers = {"Authorization": basic(email, "wrong")}
        answer = client.post("/api/v1/tokens", content_type="application/json", secure=True, headers=headers)
        assert answer.status_code == 401

    emails = [f"{name}@example.com" for name in ("wrong", "nobody", "unusable", "unconfirmed", "inactive")]
    guesses = warm_up({email: partial(guess, email) for email in emails})
    work = equal_work(guesses, before=forget_guesses)
    assert dict(work.hashes) == {"argon2": 1}
    assert work.messages == 0
    assert work.queries


COSTS: dict[str, Callable[[], object]] = {
    "hashes": lambda: make_password("x"),
    "macs": lambda: index_digest(index_ring().primary, "x"),
    "queries": lambda: User.objects.filter(email="x").first(),
    "messages": lambda: mail.send_mail("x", "x", None, ["x@example.com"]),
}


@pytest.mark.parametrize("kind", COSTS)
def test_work_that_differs_in_one_thing_is_noticed(kind: str) -> None:
    costs = COSTS[kind]
    assert getattr(equal_work({"one": costs, "other": costs}), kind)
    with pytest.raises(AssertionError, match=f"cheap and dear differ in {kind}"):
        equal_work({"dear": costs, "cheap": lambda: None})
    with pytest.raises(AssertionError, match=f"twice and once differ in {kind}"):
        equal_work({"once": costs, "twice": lambda: (costs(), costs())})
