"""Messages about keys that their owner can switch off; and those that reach the owner all the same."""

from collections.abc import Callable, Collection
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.message_kinds import MessageKind
from accounts.models import User
from accounts.services import set_email_preferences
from apikeys import services
from apikeys.models import APIKey
from tests.accounts.mailbox import forget_messages
from tests.conftest import ORIGIN, MakeKey

pytestmark = pytest.mark.django_db
ALL = frozenset(MessageKind)
ACTS = [f"Key {act}: k" for act in ("created", "rotated", "paused", "resumed", "revoked")]
LINK = "https://portal.test/account/emails/"


@pytest.fixture
def subjects(
    make_key: MakeKey, developer: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> Callable[..., list[str]]:
    """Do all that can be done with a key, as its owner or another actor, and return the subjects of the messages."""

    def act(environment: str, *, wanted: Collection[MessageKind], actor: str = "") -> list[str]:
        set_email_preferences(user=developer, wanted=wanted, origin=ORIGIN)
        origin = replace(ORIGIN, actor=actor or f"user:{developer.pk}")
        forget_messages()
        with django_capture_on_commit_callbacks(execute=True):
            key, _ = make_key(environment=environment, name="k", origin=origin)
            services.rotate(key=key, replaces=key.secrets.get().pk, origin=origin)
            services.pause(key=key, origin=origin)
            services.resume(key=key, origin=origin)
            services.revoke(key=key, reason="", origin=origin)
        return [message.subject.removeprefix("[keyportal] ") for message in mail.outbox]

    return act


@pytest.mark.parametrize(("environment", "kind"), [("live", MessageKind.LIVE_KEYS), ("test", MessageKind.TEST_KEYS)])
def test_the_switch_of_each_environment_is_heeded(
    subjects: Callable[..., list[str]], environment: str, kind: MessageKind
) -> None:
    assert subjects(environment, wanted=[kind]) == ACTS
    assert subjects(environment, wanted=ALL - {kind}) == []


@pytest.mark.parametrize("actor", ["user:usr_operator", "command:revokekey", "key:{key}", "system"])
def test_what_another_does_with_a_key_is_always_reported(subjects: Callable[..., list[str]], actor: str) -> None:
    for environment in ("live", "test"):
        assert subjects(environment, wanted=[], actor=actor) == ACTS
        assert LINK not in "".join(str(message.message()) for message in mail.outbox)


def test_a_message_that_can_be_switched_off_says_where(subjects: Callable[..., list[str]]) -> None:
    assert subjects("test", wanted=ALL) == ACTS
    for message in mail.outbox:
        sent: Any = message
        assert sent.body.rstrip().endswith(f"\n\nChange which e-mails you get: {LINK}")
        assert f'<a href="{LINK}">Change which e-mails you get</a>' in unescape(sent.alternatives[0][0])
    assert "A test key was created" in mail.outbox[0].body


def test_a_holder_who_revokes_the_key_is_always_reported(
    client: Client,
    make_key: MakeKey,
    developer: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    set_email_preferences(user=developer, wanted=[], origin=ORIGIN)
    _, secret = make_key()
    forget_messages()
    with django_capture_on_commit_callbacks(execute=True):
        client.delete("/api/v1/tokens", secure=True, headers={"Authorization": f"Bearer {secret}"})
    assert APIKey.objects.get().revoked_at
    assert [message.subject for message in mail.outbox] == ["[keyportal] Key revoked: billing server"]


def test_a_reveal_is_always_reported(
    make_key: MakeKey, developer: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    set_email_preferences(user=developer, wanted=[], origin=ORIGIN)
    key, _ = make_key(environment="test", name="k")
    forget_messages()
    with django_capture_on_commit_callbacks(execute=True):
        services.reveal(secret=key.secrets.get(), origin=replace(ORIGIN, actor=f"user:{developer.pk}"))
    assert [message.subject for message in mail.outbox] == ["[keyportal] Secret revealed: k"]
    assert LINK not in str(mail.outbox[0].message())
