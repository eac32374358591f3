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
from audit.origin import Origin
from credentials.scopes.models import Scope
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


def subjects_of(act: Callable[[], object]) -> list[str]:
    """Return the subjects of the messages about what is done meanwhile."""
    forget_messages()
    with TestCase.captureOnCommitCallbacks(execute=True):
        act()
    return [message.subject.removeprefix("[keyportal] ") for message in mail.outbox]


@pytest.mark.sweep
@pytest.mark.parametrize("actor", ["key:key_1", "user:{developer}"])
def test_a_program_that_creates_in_a_loop_does_not_bury_the_mailbox(
    developer: User, make_key: MakeKey, time_machine: Any, actor: str
) -> None:
    time_machine.move_to(START, tick=False)
    set_email_preferences(user=developer, wanted=ALL, origin=ORIGIN)
    origin = replace(ORIGIN, actor=actor.format(developer=developer.pk))

    def come_and_go(origin: Origin = origin, times: int = 1, environment: str = "test") -> None:
        for _ in range(times):
            key, _ = make_key(name="k", environment=environment, origin=origin)
            services.revoke(key=key, reason="", origin=origin)

    sent = subjects_of(lambda: come_and_go(times=40))
    assert [subject for subject in sent if "within an hour" in subject] == [
        f"{many} new keys within an hour, the newest: k" for many in (31, 32, 34, 38)
    ]
    assert len(sent) == 2 * 30 + 4
    assert "38 test keys were created in your account within an hour" in " ".join(mail.outbox[-1].body.split())
    assert subjects_of(come_and_go) == []
    assert len(subjects_of(lambda: come_and_go(environment="live"))) == 2  # what matters more is counted by itself
    assert len(subjects_of(lambda: come_and_go(replace(ORIGIN, actor="user:usr_operator")))) == 2
    time_machine.shift(timedelta(hours=1, seconds=1))
    assert len(subjects_of(come_and_go)) == 2


def test_a_program_that_changes_a_key_in_a_loop_does_not_bury_the_mailbox(
    make_key: MakeKey, time_machine: Any, scopes: list[Scope]
) -> None:
    time_machine.move_to(START, tick=False)
    origin = replace(ORIGIN, actor="key:key_1")
    (key, _), (other, _) = make_key(), make_key(name="other")
    time_machine.shift(timedelta(hours=2))

    def pause_and_resume() -> None:
        for _ in range(10):
            services.pause(key=key, origin=origin)
            services.resume(key=key, origin=origin)

    def widen() -> None:
        for chosen in (["keys:read"], []):
            row = APIKey.objects.get(pk=key.pk)
            services.edit_key(key=row, name=row.name, scopes=chosen, networks=[], expires_at=None, origin=origin)

    sent = subjects_of(pause_and_resume)
    assert len(sent) == 10 + 4
    assert sent[-1] == "18 changes within an hour: billing server"
    assert subjects_of(widen) == []
    assert subjects_of(lambda: services.pause(key=other, origin=origin)) == ["Key paused: other"]
    assert subjects_of(lambda: services.pause(key=key, by_operator=True, origin=ORIGIN)) == [
        "Key paused: billing server"
    ]


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
