"""Messages about keys that their owner can switch off; and those that reach the owner all the same."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.test import Client, TestCase
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.message_kinds import MessageKind
from accounts.models import User
from accounts.services import set_email_preferences
from apikeys import services
from apikeys.models import APIKey
from tests.accounts.mailbox import forget_messages
from tests.conftest import ORIGIN, MakeKey
from tests.limits import START

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


def change(number: int, owner: User, actor: str) -> list[Any]:
    """Create and revoke that many keys, as this actor, and return the messages."""
    forget_messages()
    origin = replace(ORIGIN, actor=actor)
    with TestCase.captureOnCommitCallbacks(execute=True):
        for _ in range(number):
            key, _ = services.create_key(owner=owner, name="k", environment="live", origin=origin)
            services.revoke(key=key, reason="", origin=origin)
    return list(mail.outbox)


@pytest.mark.parametrize("actor", ["key:key_1", "user:{developer}"])
def test_a_program_that_acts_in_a_loop_does_not_bury_the_mailbox(
    developer: User, time_machine: Any, actor: str
) -> None:
    time_machine.move_to(START, tick=False)
    actor = actor.format(developer=developer.pk)
    sent = change(40, developer, actor)
    assert len(sent) == 61
    assert sent[-1].subject == "[keyportal] Many changes to your keys"
    assert "more than 60 times within an hour" in " ".join(sent[-1].body.split())
    assert sent[-1].body.endswith("https://portal.test/account/history/")
    assert change(1, developer, actor) == []
    assert len(change(1, developer, "user:usr_operator")) == 2  # what operators do is always reported
    time_machine.shift(timedelta(hours=3))
    assert len(change(1, developer, actor)) == 2


def test_no_message_links_to_where_a_name_or_a_reason_says(make_key: MakeKey) -> None:
    origin = replace(ORIGIN, actor="key:key_1")
    forget_messages()
    with TestCase.captureOnCommitCallbacks(execute=True):
        key, _ = make_key(name="locked: log in at https://evil.example/1 or mail@evil.example", origin=origin)
        services.pause(key=key, reason="see www.evil.example", origin=origin)
        services.revoke(key=key, reason="see http://evil.example", origin=origin)
    assert len(mail.outbox) == 3
    for message in mail.outbox:
        assert message.subject.endswith(": locked: log in at https evil example/1 or mail evil example")
        assert "evil.example" not in str(message.message())
    assert "Reason: see http evil example" in mail.outbox[-1].body
