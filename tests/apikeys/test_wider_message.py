"""The message to the owner of a key that was widened: what became wider, when, from where, and what to do."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.models import User
from apikeys import emails, services
from apikeys.models import APIKey
from audit.origin import Origin
from credentials.scopes.models import Scope
from tests.accounts.mailbox import forget_messages
from tests.conftest import ORIGIN, MakeKey

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H6")]


@pytest.fixture
def change_message(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Callable[..., list[str]]:
    """Edit or limit a key, and return the message to its owner: as text, and as HTML."""

    def change(key: APIKey, origin: Origin = ORIGIN, **changes: Any) -> list[str]:
        forget_messages()
        with django_capture_on_commit_callbacks(execute=True):
            if "limit" in changes:
                services.set_rate_limit(key=key, origin=origin, **changes)
            else:
                now = {"scopes": key.scope_list, "networks": key.network_list, "expires_at": key.expires_at}
                services.edit_key(key=key, origin=origin, name=key.name, **{**now, **changes})
        [message] = mail.outbox
        assert isinstance(message, EmailMultiAlternatives)
        assert message.to == ["dev@example.com"]
        return [str(message.body), re.sub("</?strong>", "", unescape(str(message.alternatives[0][0])))]

    return change


def test_the_message_says_what_became_wider_when_from_where_and_what_to_do(
    make_key: MakeKey, scopes: list[Scope], change_message: Callable[..., list[str]]
) -> None:
    ended = timezone.now() - timedelta(days=1)
    key, _ = make_key(scopes=["reports:read"], networks=["203.0.113.0/24"], expires_at=ended)
    over = f"{ended:%-d %b %Y, %H:%M} UTC"
    origin = replace(ORIGIN, actor=f"user:{key.owner_id}")
    for text in change_message(key, origin, scopes=["reports:read", "reports:write"], networks=[], expires_at=None):
        assert "can now do more than before" in text
        assert "Scopes: reports:read, reports:write (before: reports:read)" in text
        assert "Allowed networks: any (before: 203.0.113.0/24)" in text
        assert f"Expires: never (before: {over}, in the past)" in text
        assert re.search(r"When: \d{1,2} \w{3} \d{4}, \d\d:\d\d UTC", text)
        assert "From: 192.0.2.1" in text
        assert "If this wasn't you, revoke the key, change your password" in text
        assert f"https://portal.test/keys/{key.pk}/" in text


def test_a_column_that_nobody_has_thought_of_is_told_as_well(
    make_key: MakeKey, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    key, _ = make_key()
    with django_capture_on_commit_callbacks(execute=True):
        emails.send_key_widened(key, {"revoked_reason": "leaked"}, ORIGIN)
    assert "Revoked reason: none (before: leaked)" in str(mail.outbox[-1].body)


def test_only_what_became_wider_is_told(
    make_key: MakeKey, scopes: list[Scope], change_message: Callable[..., list[str]]
) -> None:
    key, _ = make_key(scopes=["reports:read"], networks=["203.0.113.0/24"])
    for text in change_message(key, scopes=[], networks=[]):
        assert "Allowed networks: any" in text
        assert "Scopes" not in text


def test_a_name_is_text_in_the_message(make_key: MakeKey, django_capture_on_commit_callbacks: Any) -> None:
    key, _ = make_key(name="<img src=x>", networks=["203.0.113.0/24"])
    with django_capture_on_commit_callbacks(execute=True):
        services.edit_key(key=key, name=key.name, scopes=[], networks=[], expires_at=None, origin=ORIGIN)
    message = mail.outbox[-1]
    assert isinstance(message, EmailMultiAlternatives)
    assert "<img" not in str(message.alternatives[0][0])


@pytest.mark.parametrize("environment", ["live", "test"])
def test_operators_and_commands_are_told_of_as_well(
    make_key: MakeKey, operator: User, change_message: Callable[..., list[str]], environment: str
) -> None:
    for actor in (f"user:{operator.pk}", "command:editkey"):
        key, _ = make_key(environment=environment, networks=["203.0.113.0/24"])
        for text in change_message(key, replace(ORIGIN, actor=actor), networks=[]):
            assert "By: the portal's operators" in text
            assert "192.0.2.1" not in text
        services.set_rate_limit(key=key, limit="5/minute", origin=ORIGIN)
        for text in change_message(key, replace(ORIGIN, actor=actor), limit="9/minute"):
            assert "Rate limit: 9/minute (before: 5/minute)" in text
        for text in change_message(key, replace(ORIGIN, actor=actor), limit=""):
            assert "Rate limit: none, the portal's default (before: 9/minute)" in text
