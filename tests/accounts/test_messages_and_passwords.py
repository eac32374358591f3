"""Messages say what they are; a password that can be set can be sent by every way there is."""

from collections.abc import Callable
from email.message import Message
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from accounts.models import User
from apikeys import services
from tests.accounts.mailbox import link_to, post
from tests.conftest import ORIGIN, PASSWORD, MakeKey, MakeUser
from tests.oauth_client import basic
from tests.portal import Portal

pytestmark = pytest.mark.django_db
EMAIL = "dev@example.com"


def send_one_of_each(developer: User, make_key: MakeKey, make_user: MakeUser, callbacks: Any) -> list[Message]:
    """Have one message of each kind sent, and give them as they go over the wire."""
    client = Client()
    make_user("unconfirmed@example.com", confirmed=False)
    post(client, "/accounts/signup/", email="new@example.com", password1=PASSWORD)
    post(client, "/accounts/signup/", email=EMAIL, password1=PASSWORD)
    post(client, "/accounts/login/", login="unconfirmed@example.com", password=PASSWORD)
    post(client, "/accounts/password/reset/", email=EMAIL)
    post(client, "/accounts/password/reset/", email="nobody@example.com")
    post(client, "/accounts/login/unlock/", email=EMAIL)
    owner = Client()
    post(owner, "/accounts/login/", login=EMAIL, password=PASSWORD)
    post(Client(), "/accounts/login/", login=EMAIL, password=PASSWORD)
    post(owner, "/accounts/email/", email="taken@example.com")
    make_user("taken-really@example.com")
    post(owner, "/accounts/email/", email="taken-really@example.com")
    post(owner, "/accounts/email/", email="next@example.com")
    post(owner, link_to("next@example.com", "/email/confirm/"))
    with callbacks(execute=True):
        key, _ = make_key()
        services.revoke(key=key, reason="", origin=ORIGIN)
    fields = {"password1": "a quite different phrase", "password2": "a quite different phrase"}
    post(owner, "/accounts/password/change/", oldpassword=PASSWORD, **fields)
    return [message.message() for message in mail.outbox]


@pytest.mark.finding("H29")
def test_every_message_says_that_a_machine_wrote_it(
    developer: User, make_key: MakeKey, make_user: MakeUser, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    messages = send_one_of_each(developer, make_key, make_user, django_capture_on_commit_callbacks)
    assert len({str(message["Subject"]) for message in messages}) >= 12
    for message in messages:
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["X-Auto-Response-Suppress"] == "All"
        assert str(message["Message-ID"]).endswith("@portal.test>")
        assert message["Date"]
        kinds = [part.get_content_type() for part in message.walk()]
        assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    identifiers = [message["Message-ID"] for message in messages]
    assert len(set(identifiers)) == len(identifiers)


@pytest.mark.finding("H28")
@pytest.mark.parametrize(
    "password", ["a phrase with a\ttab in it", "a phrase with a \x7f in it", "a phrase \x85 of C1s"]
)
def test_a_password_that_basic_can_not_carry_is_set_nowhere(
    client: Client, developer: User, portal: Portal, password: str
) -> None:
    assert post(client, "/accounts/signup/", email="new@example.com", password1=password).status_code == 200
    assert not User.objects.filter(email="new@example.com").exists()
    owner = Client()
    post(owner, "/accounts/login/", login=EMAIL, password=PASSWORD)
    fields = {"oldpassword": PASSWORD, "password1": password, "password2": password}
    assert post(owner, "/accounts/password/change/", **fields).status_code == 200
    post(client, "/accounts/password/reset/", email=EMAIL)
    form = client.get(link_to(EMAIL, "/password/reset/key/"), secure=True)["Location"]
    assert post(client, form, password1=password, password2=password).status_code == 200
    assert User.objects.get(email=EMAIL).check_password(PASSWORD)
    assert "can't contain" in portal.command(
        "createdeveloper", "control@example.com", "--password-stdin", stdin=password + "\n", check=False
    ).stderr.replace("’", "'")


@pytest.mark.finding("H28")
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_password_from_standard_input_has_no_line_end(portal: Portal, end: str) -> None:
    email = f"stdin-{len(end)}@example.com"
    portal.command("createdeveloper", email, "--confirmed", "--password-stdin", stdin=PASSWORD + end)
    headers = {"Authorization": basic(email, PASSWORD)}
    assert portal.request("POST", "/api/v1/tokens", headers=headers).status == 200


@pytest.mark.finding("H28")
@pytest.mark.parametrize("password", ["  spaces on both sides  ", "ünï cödé pässwörd", "a:b:c:d:e:f:g:h", "🗝" * 15])
def test_a_password_that_can_be_set_works_at_both_endpoints(client: Client, make_user: MakeUser, password: str) -> None:
    make_user("new@example.com", password=password)
    answer = post(client, "/accounts/login/", login="new@example.com", password=password)
    assert answer.status_code == 302
    headers = {"Authorization": basic("new@example.com", password)}
    tokens = Client().post("/api/v1/tokens", content_type="application/json", secure=True, headers=headers)
    assert tokens.status_code == 200
