"""Authenticator app, recovery codes: sealed in the database, asked for at log-in and at the admin's log-in."""

import re
import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from accounts.models import User
from tests.accounts.authenticator_app import code_of
from tests.conftest import PASSWORD, LogIn
from tests.portal import Portal
from tests.portal_user import PortalUser

pytestmark = [pytest.mark.once, pytest.mark.django_db]


@pytest.fixture
def protected(log_in: LogIn, developer: User) -> tuple[User, str]:
    """A developer with an authenticator app, and the app's secret."""
    client = log_in(developer)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD}, secure=True)
    page = client.get("/accounts/2fa/totp/activate/", secure=True).content.decode()
    found = re.search(r'id="authenticator_secret"[^>]*value="([A-Z2-7]+)"', page)
    assert found
    answer = client.post("/accounts/2fa/totp/activate/", {"code": code_of(found[1])}, secure=True)
    assert answer.status_code == 302
    return developer, found[1]


def enter_password(client: Client) -> Any:
    return client.post("/accounts/login/", {"login": "dev@example.com", "password": PASSWORD}, secure=True)


def test_what_is_stored_of_a_second_factor_is_sealed(protected: tuple[User, str]) -> None:
    _, secret = protected
    stored = str(list(Authenticator.objects.values("type", "data")))
    assert "totp" in stored
    assert secret not in stored


def test_the_password_alone_no_longer_lets_in(protected: tuple[User, str], time_machine: Any) -> None:
    _, secret = protected
    time_machine.move_to(time.time() + 60)  # a code is good once
    client = Client()
    assert enter_password(client)["Location"] == "/accounts/2fa/authenticate/"
    assert client.get("/keys/", secure=True).status_code == 302
    assert client.get("/admin/", secure=True).status_code == 302
    wrong = client.post("/accounts/2fa/authenticate/", {"code": "000000"}, secure=True)
    assert wrong.status_code == 200
    right = client.post("/accounts/2fa/authenticate/", {"code": code_of(secret)}, secure=True)
    assert right["Location"] == "/keys/"
    assert client.get("/keys/", secure=True).status_code == 200


@pytest.mark.finding("F")
@pytest.mark.parametrize(("later", "good"), [(0, True), (59, True), (60, False), (600, False)])
def test_a_code_is_good_for_a_minute(protected: tuple[User, str], time_machine: Any, later: int, good: bool) -> None:
    _, secret = protected
    shown = (int(time.time()) // 30 + 20) * 30  # a step begins then, and no code of it was used
    time_machine.move_to(shown, tick=False)
    code = code_of(secret)
    time_machine.move_to(shown + later, tick=False)
    client = Client()
    enter_password(client)
    client.post("/accounts/2fa/authenticate/", {"code": code}, secure=True)
    assert (client.get("/keys/", secure=True).status_code == 200) is good


def test_a_recovery_code_lets_in_once(protected: tuple[User, str], log_in: LogIn) -> None:
    user, _ = protected
    client = log_in(user)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD}, secure=True)
    client.post("/accounts/2fa/recovery-codes/generate/", {}, secure=True)
    page = client.get("/accounts/2fa/recovery-codes/", secure=True).content.decode()
    codes = re.findall(r"\b\d{8}\b|\b[0-9a-f]{8}\b", page.partition("<textarea")[2].partition("</textarea")[0])
    assert codes
    assert codes[0] not in str(list(Authenticator.objects.values("data")))
    for expected in (302, 200):
        entering = Client()
        enter_password(entering)
        assert entering.post("/accounts/2fa/authenticate/", {"code": codes[0]}, secure=True).status_code == expected


def test_a_second_factor_is_changed_after_a_fresh_log_in_only(log_in: LogIn, developer: User) -> None:
    client = log_in(developer, ago=301)
    for path in ("totp/activate/", "webauthn/add/", "recovery-codes/generate/"):
        answer = client.get(f"/accounts/2fa/{path}", secure=True)
        assert answer.status_code == 302
        assert answer["Location"].startswith(("/accounts/reauthenticate/", "/accounts/2fa/"))


@pytest.mark.security("L-02")
def test_a_second_factor_is_added_on_the_record_and_its_owner_is_told(portal: Portal) -> None:
    portal_user = PortalUser(portal, "factor@example.com")
    portal_user.post("/accounts/reauthenticate/", password=PASSWORD)
    page = portal_user.get("/accounts/2fa/totp/activate/")
    secret, token = re.search(r'value="([A-Z2-7]{32,})"', page), re.search(r'csrfmiddlewaretoken" value="(\w+)"', page)
    assert secret
    assert token
    portal_user.post("/accounts/2fa/totp/activate/", token=token[1], code=code_of(secret[1]))
    assert "Authenticator app added" in portal_user.get("/account/history/")
    messages = [message for message in portal.messages() if "To: factor@example.com" in message]
    assert len(messages) >= 1
    assert not [message for message in messages if secret[1] in message]
