"""What each door answers while new credentials are suspended: API, OAuth, pages, admin, commands."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts import services
from accounts.issuing import current_suspension
from accounts.models import IssuingState, User
from apikeys.models import APIKey
from audit.models import Event
from credentials.scopes.models import Scope
from tests.accounts.mailbox import get, post
from tests.apikeys.key_pages import browser, form_of
from tests.apikeys.management import KEYS, Api
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeKey, MakeUser
from tests.keyportal.issuing import issued
from tests.keyportal.operators_desk import desk
from tests.keyportal.rights import with_rights
from tests.keyportal.test_admin_pause import text_of
from tests.tokens.endpoints import Json, basic, bearer, log_in_for_tokens, post_form, refresh

__all__ = ["browser", "desk", "log_in_for_tokens"]

pytestmark = pytest.mark.django_db
REASON = "We look into a leak — see “status”."
ADMIN = "/admin/accounts/issuingstate/1/change/"


def suspend(**how: Any) -> None:
    services.suspend_issuing(**{"reason": REASON, "origin": ORIGIN, **how})


def assert_suspended(answer: Any) -> None:
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    body = json.loads(answer.content)
    assert (body["code"], body["status"], answer["Retry-After"]) == ("issuing_suspended", 503, "60")
    assert body["detail"] == f"This portal issues no new credentials at the moment. {REASON}"


def test_the_api_says_503_and_what_exists_answers(make_key: MakeKey, scopes: list[Scope]) -> None:
    key, secret = make_key(scopes=["keys:read", "keys:write", "self:rotate"])
    api = Api(secret)
    suspend()
    before = issued()
    assert_suspended(api.post(KEYS, {"name": "x", "environment": "live"}))
    assert_suspended(api.post(f"{KEYS}/{key.pk}/rotate", {}))
    assert issued() == before
    assert api.get(f"{KEYS}/{key.pk}").status_code == 200
    assert api.post(f"{KEYS}/{key.pk}/end-overlap").status_code == 200
    assert api("DELETE", f"{KEYS}/{key.pk}").status_code == 204


def test_a_repeated_call_gives_no_secret_again_until_then_it_does(make_key: MakeKey, scopes: list[Scope]) -> None:
    api = Api(make_key(scopes=["keys:read", "keys:write"])[1])
    body = {"name": "x", "environment": "live"}
    secret = json.loads(api.post(KEYS, body, Idempotency_Key="a").content)["secret"]
    suspend()
    assert_suspended(api.post(KEYS, body, Idempotency_Key="a"))
    services.resume_issuing(origin=ORIGIN)
    assert json.loads(api.post(KEYS, body, Idempotency_Key="a").content)["secret"] == secret


def test_log_ins_for_tokens_and_refreshes_say_503_and_spend_nothing(
    client: Client, log_in_for_tokens: Callable[..., Json]
) -> None:
    pair = log_in_for_tokens()
    suspend()
    problem = log_in_for_tokens(status=503)
    assert (problem["code"], REASON in problem["detail"]) == ("issuing_suspended", True)
    status, problem = refresh(client, pair["refresh_token"])
    assert (status, problem["code"]) == (503, "issuing_suspended")
    status, problem = refresh(client, "kp_refresh_" + "x" * 49)
    assert (status, problem["code"]) == (400, "invalid_grant")  # nothing is told about what is none
    assert client.get("/api/v1/me", secure=True, headers=bearer(pair["access_token"])).status_code == 200
    services.resume_issuing(origin=ORIGIN)
    assert refresh(client, pair["refresh_token"])[0] == 200


def test_oauth_clients_get_an_error_of_rfc_6749(
    client: Client, log_in_for_tokens: Callable[..., Json], make_key: MakeKey
) -> None:
    key, secret = make_key()
    pair = log_in_for_tokens()
    suspend()
    grants = ({"grant_type": "client_credentials"}, {"grant_type": "refresh_token", "refresh_token": ""})
    for form in grants:
        head = basic(key.pk, secret) if form["grant_type"] == "client_credentials" else {}
        sent = {**form, **({"refresh_token": pair["refresh_token"]} if "refresh_token" in form else {})}
        status, error = post_form(client, "/oauth/token", sent, **head)
        assert (status, error["error"]) == (503, "temporarily_unavailable")
        assert error["error_description"].isascii()
        assert not set('"\\') & set(error["error_description"])
    status, _ = post_form(client, "/oauth/token", {"grant_type": "client_credentials"}, **basic(key.pk, secret + "x"))
    assert status == 401
    assert post_form(client, "/oauth/revoke", {"token": pair["refresh_token"]}, client_id="portal")[0] in (200, 401)


def test_pages_say_so_before_one_fills_them_in_and_keep_what_was_typed(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    sent = form_of(browser, name="Zahlung")
    suspend()
    for path in ("/keys/", "/keys/new/", f"/keys/{key.pk}/", f"/keys/{key.pk}/rotate/", "/account/apps/"):
        assert REASON in text_of(get(browser, path)), path
    answer = post(browser, "/keys/new/", **sent)
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert REASON in text_of(answer)
    assert 'value="Zahlung"' in get(browser, "/keys/new/").content.decode()
    rotation = {"replaces": key.secrets.get().pk, "overlap": "24"}
    assert post(browser, f"/keys/{key.pk}/rotate/", **rotation).status_code == 503
    assert post(browser, f"/keys/{key.pk}/secrets/{key.secrets.get().pk}/reveal/").status_code in (404, 503)
    assert key.secrets.count() == 1
    assert APIKey.objects.count() == 1
    assert post(browser, f"/keys/{key.pk}/revoke/", reason="x", said_unused="true").status_code == 302


def test_nobody_signs_up_and_visitors_are_told_on_the_form_alone(client: Client) -> None:
    suspend()
    assert REASON in text_of(get(client, "/accounts/signup/"))
    assert REASON not in text_of(get(client, "/"))
    form = {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD}
    answer = post(client, "/accounts/signup/", **form)
    assert answer.status_code == 503
    assert not User.objects.filter(email="new@example.com").exists()


def test_people_still_log_in_to_pages(client: Client, developer: User) -> None:
    suspend()
    answer = post(client, "/accounts/login/", login=developer.email, password=PASSWORD)
    assert answer.status_code == 302
    assert get(client, "/keys/").status_code == 200


@pytest.mark.parametrize("command", ["createkey dev@example.com --name x", "rotatekey KEY"])
def test_commands_refuse(make_key: MakeKey, command: str) -> None:
    key, _ = make_key()
    suspend()
    with pytest.raises(CommandError, match="issues no new credentials"):
        call_command(*command.replace("KEY", key.pk).split())


def test_the_command_suspends_says_so_and_resumes(make_key: MakeKey) -> None:
    def run(*arguments: str) -> str:
        out = io.StringIO()
        call_command("newcredentials", *arguments, stdout=out)
        return out.getvalue()

    assert run("status") == "New credentials are issued.\n"
    said = run("off", "--reason", "A leak.", "--until", "2h", "--allow-rotation")
    assert "suspended until" in said
    assert "Keys can still be rotated. Reason: A leak." in said
    with pytest.raises(SystemExit, match="1"):
        run("status")
    assert run("on") == "New credentials are issued again.\n"
    assert run("on") == "New credentials were not suspended.\n"
    assert {event.actor for event in Event.objects.filter(subject_type="portal")} == {"command:newcredentials"}
    for wrong in (["off"], ["on", "--reason", "x"], ["off", "--reason", "x", "--until", "2020-01-01"]):
        with pytest.raises(CommandError):
            run(*wrong)


def test_an_operator_suspends_in_the_admin_after_a_fresh_log_in(
    desk: Client, log_in: LogIn, operator: User, make_key: MakeKey
) -> None:
    page = text_of(get(desk, ADMIN))
    assert "nobody signs up" in page
    assert post(desk, ADMIN, issue="off", reason="").status_code == 200  # a reason is needed
    assert current_suspension() is None
    answer = desk.post(ADMIN, {"issue": "off", "reason": "A leak.", "until": "2h"}, secure=True, follow=True)
    assert "issues no new credentials until" in text_of(answer)
    found = current_suspension()
    assert found is not None
    assert (found.reason, found.allows_rotation) == ("A leak.", False)
    assert 'value="A leak."' in get(desk, ADMIN).content.decode()
    assert "New credentials suspended" in text_of(get(desk, "/admin/accounts/issuingstate/1/history/"))
    stale = log_in(operator, ago=3600)
    assert "reauthenticate" in post(stale, ADMIN, issue="on")["Location"]
    assert current_suspension() is not None
    log_in(operator)
    answer = desk.post(ADMIN, {"issue": "on", "reason": "", "until": ""}, secure=True, follow=True)
    assert "New credentials are issued." in text_of(answer)
    make_key()
    assert get(desk, "/admin/accounts/issuingstate/2/change/").status_code == 404


def test_an_operator_who_may_only_see_it_sees_what_holds(make_user: MakeUser, log_in: LogIn) -> None:
    suspend()
    viewer = with_rights(make_user, IssuingState, "view")
    page = text_of(get(log_in(viewer), ADMIN))
    assert REASON in page
    assert "suspended" in page
    assert 'name="issue"' not in page
