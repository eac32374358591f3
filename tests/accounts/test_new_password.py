"""A password is changed by its owner, or reset by a link: what ends with it, and what a stranger does not learn."""

import re

import pytest
from django.contrib.sessions.models import Session
from django.contrib.sessions.serializers import JSONSerializer
from django.core import mail, signing
from django.test import Client, TestCase
from pytest_django import Settings

from accounts.models import PendingMessage, User
from tests.accounts.log_in_form import is_logged_in, log_in_by_form
from tests.accounts.mailbox import post
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
NEW_PASSWORD = "a quite different phrase"


@pytest.mark.security("A-15")
def test_links_in_messages_begin_with_the_configured_address(client: Client, developer: User) -> None:
    with TestCase.captureOnCommitCallbacks(execute=True):
        answer = client.post(
            "/accounts/password/reset/", {"email": developer.email}, secure=True, headers={"X-Forwarded-Host": "evil"}
        )
    assert answer.status_code == 302
    assert "https://portal.test/accounts/password/reset/key/" in str(mail.outbox[-1].body)
    assert "evil" not in str(mail.outbox[-1].message())
    refused = client.post(
        "/accounts/password/reset/", {"email": developer.email}, secure=True, headers={"Host": "evil"}
    )
    assert refused.status_code == 400


@pytest.mark.security("S-04")
def test_a_new_password_ends_the_other_sessions_and_every_signed_token(client: Client, developer: User) -> None:
    other = Client()
    log_in_by_form(other)
    log_in_by_form(client)
    epoch = User.objects.get().auth_epoch
    fields = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert post(client, "/accounts/password/change/", **fields).status_code == 302
    assert is_logged_in(client)
    assert not is_logged_in(other)
    assert User.objects.get().auth_epoch == epoch + 1
    assert "changed" in mail.outbox[-1].subject.lower() or "password" in mail.outbox[-1].subject.lower()
    assert NEW_PASSWORD not in str(mail.outbox[-1].message())


@pytest.mark.security("A-05")
def test_a_password_is_changed_by_who_knows_it(client: Client, developer: User) -> None:
    log_in_by_form(client)
    fields = {"oldpassword": "wrong", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert post(client, "/accounts/password/change/", **fields).status_code == 200
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.security("A-11")
def test_a_reset_link_works_once_and_is_told_to_nobody_else(client: Client, developer: User) -> None:
    post(client, "/accounts/password/reset/", email=developer.email)
    found = re.search(r"https://portal\.test(/accounts/password/reset/key/\S+)", str(mail.outbox[-1].body))
    assert found
    form = client.get(found[1], secure=True)
    assert post(client, form["Location"], password1=NEW_PASSWORD, password2=NEW_PASSWORD).status_code == 302
    assert User.objects.get().check_password(NEW_PASSWORD)
    again = Client().get(found[1], secure=True)
    assert "This link no longer works" in again.content.decode()


@pytest.mark.security("A-09")
def test_the_session_of_a_reset_does_not_hold_its_link(client: Client, developer: User) -> None:
    """Django signs what a session holds, and anyone can read what is signed."""
    post(client, "/accounts/password/reset/", email=developer.email)
    found = re.search(r"https://portal\.test(/accounts/password/reset/key/\S+-(\w+)/?)", str(mail.outbox[-1].body))
    assert found
    client.get(found[1], secure=True)
    row = Session.objects.get()
    members = signing.loads(row.session_data, salt=f"session {row.session_key}", serializer=JSONSerializer)
    assert "_password_reset_key" in members
    assert found[2] not in str(members)


def test_a_reset_for_an_unknown_address_is_answered_alike(client: Client, developer: User) -> None:
    known = post(client, "/accounts/password/reset/", email=developer.email)
    unknown = post(client, "/accounts/password/reset/", email="nobody@example.com")
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])


@pytest.mark.security("R-33")
def test_a_mail_server_that_is_down_changes_no_answer(
    client: Client, developer: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    signed_up = post(client, "/accounts/signup/", email="new@example.com", password1=PASSWORD)
    assert signed_up["Location"] == "/accounts/confirm-email/"
    known, unknown = (
        post(Client(), "/accounts/password/reset/", email=one) for one in (developer.email, "no@example.com")
    )
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    waiting = PendingMessage.objects.values_list("what", "tries")
    assert sorted(waiting) == [("email_confirmation_signup", 0), ("password_reset_key", 0), ("unknown_account", 0)]
    assert "ConnectionRefusedError" in caplog.text
