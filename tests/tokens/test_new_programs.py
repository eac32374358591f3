"""The message about a log-in by a program that is new at its place, and what counts as one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.models import User
from accounts.places import log_ins
from accounts.services import set_email_preferences
from keyportal.purge import purge
from tests.conftest import ORIGIN, PASSWORD, MakeUser
from tests.oauth_client import basic
from tokens import services
from tokens.errors import InvalidScopeError
from tokens.models import RefreshToken, TokenFamily

pytestmark = pytest.mark.django_db
SUBJECT = "[keyportal] A new program logged in to your account"
LogInAt = Callable[..., int]


@pytest.fixture
def log_in_at(developer: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> LogInAt:
    """Log in by the verb, from an address and with an agent, and return how many messages that brought."""

    def enter(address: str | None, agent: str = "acme-cli/2.1", user: User = developer) -> int:
        before = len(mail.outbox)
        origin = replace(ORIGIN, actor=f"user:{user.pk}", address=address)
        with django_capture_on_commit_callbacks(execute=True):
            services.issue_to_user(user=user, scopes=None, agent=agent, origin=origin)
        return len(mail.outbox) - before

    return enter


def test_a_log_in_by_a_new_program_is_reported_to_the_owner(
    client: Client, developer: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    headers = {"Authorization": basic(developer.email, PASSWORD), "User-Agent": "acme-cli/2.1"}
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            answer = client.post("/api/v1/tokens", content_type="application/json", secure=True, headers=headers)
        assert answer.status_code == 200
    [message] = mail.outbox
    sent: Any = message
    assert (sent.to, sent.subject) == (["dev@example.com"], SUBJECT)
    assert "A program logged in to your account at portal.test with your password" in sent.body
    assert "From: 127.0.0.1\nProgram: acme-cli/2.1\n" in sent.body
    assert "https://portal.test/accounts/password/change/" in sent.body
    assert "https://portal.test/account/emails/" in sent.alternatives[0][0]
    assert [event.details["new_device"] for event in log_ins(developer.pk).order_by("id")] == [True, False]


@pytest.mark.parametrize(
    ("address", "agent", "messages"),
    [
        ("203.0.113.7", "acme-cli/2.1", 0),
        ("203.0.113.8", "acme-cli/2.1", 1),
        ("203.0.113.7", "curl/8.5.0", 1),
        ("64:ff9b::203.0.113.7", "acme-cli/2.1", 0),
        ("2001:db8:0:1::1", "acme-cli/2.1", 0),
        ("2001:db8:0:1:ffff::9", "acme-cli/2.1", 0),
        ("2001:db8:0:2::1", "acme-cli/2.1", 1),
        (None, "acme-cli/2.1", 1),
    ],
)
def test_a_program_is_known_at_the_places_where_it_logged_in(
    log_in_at: LogInAt, address: str | None, agent: str, messages: int
) -> None:
    assert [log_in_at("203.0.113.7"), log_in_at("2001:db8:0:1::1")] == [1, 1]
    assert log_in_at(address, agent) == messages
    assert log_in_at(address, agent) == 0


def test_a_program_of_another_user_is_new(log_in_at: LogInAt, make_user: MakeUser) -> None:
    assert log_in_at("203.0.113.7") == 1
    assert log_in_at("203.0.113.7", user=make_user()) == 1


def test_a_log_in_that_was_purged_is_forgotten_and_one_that_ended_is_not(log_in_at: LogInAt, developer: User) -> None:
    log_in_at("203.0.113.7")
    services.end_family(family=TokenFamily.objects.get(), reason="", origin=ORIGIN)
    assert log_in_at("203.0.113.7") == 0
    for rows in (TokenFamily.objects, RefreshToken.objects):
        rows.update(expires_at=timezone.now() - timedelta(days=1))
    purge(by="test")
    assert not TokenFamily.objects.exists()
    assert log_in_at("203.0.113.7") == 1


def test_a_refused_log_in_is_not_reported(
    client: Client, developer: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        with pytest.raises(InvalidScopeError):
            services.issue_to_user(user=developer, scopes=["no:such"], agent="x", origin=ORIGIN)
        for password in ("wrong", PASSWORD):
            body = '{"scope": "no:such"}'
            headers = {"Authorization": basic(developer.email, password)}
            client.post("/api/v1/tokens", body, content_type="application/json", secure=True, headers=headers)
    assert mail.outbox == []


def test_a_user_who_does_not_want_it_gets_none(log_in_at: LogInAt, developer: User) -> None:
    set_email_preferences(user=developer, wanted=[], origin=ORIGIN)
    assert log_in_at("203.0.113.7") == 0
    assert [event.details["new_device"] for event in log_ins(developer.pk)] == [True]
