"""Types of events: each is recorded and has a sentence; a secret that does not open leaves one."""

import re
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import allauth
import pytest

from accounts.models import User
from apikeys.models import KeySecret
from audit.event_types import EventType, sentence_of
from audit.models import Event
from tests.conftest import LogIn, MakeKey
from tests.portal import ROOT, Portal
from tests.portal_user import PortalUser

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H31")]


def events(*verbs: str) -> list[Event]:
    """Return the events of these verbs, oldest first."""
    return list(Event.objects.filter(verb__in=verbs).order_by("id"))


def test_a_reveal_of_a_broken_ciphertext_is_on_the_record(
    log_in: LogIn, make_key: MakeKey, developer: User, mailoutbox: list[Any]
) -> None:
    key, _ = make_key()
    secret = key.secrets.get()
    KeySecret.objects.update(ciphertext=b"broken")
    browser = log_in(developer)
    mailoutbox.clear()
    answer = browser.post(f"/keys/{key.pk}/secrets/{secret.pk}/reveal/", secure=True)
    assert answer.status_code == 500
    [event] = events("key_revealed", "reveal_failed")
    assert (event.verb, event.subject_id, event.actor) == ("reveal_failed", key.pk, f"user:{developer.pk}")
    assert event.details == {"secret": secret.hint}
    assert mailoutbox == []  # nothing was revealed
    assert "Secret not shown" in browser.get(f"/keys/{key.pk}/", secure=True).content.decode()


def test_the_event_of_a_broken_ciphertext_is_committed(portal: Portal) -> None:
    portal_user = PortalUser(portal, "broken@example.com")
    key, _ = portal.make_key("broken@example.com")
    portal.shell(f"KeySecret.objects.filter(key='{key}').update(ciphertext=b'broken')")
    [reveal] = set(re.findall(rf"/keys/{key}/secrets/sec_\w+/reveal/", portal_user.get(f"/keys/{key}/")))
    with pytest.raises(HTTPError, match="500"):
        portal_user.post(reveal, form_at=f"/keys/{key}/")
    verbs = portal.shell(
        f"print(*Event.objects.filter(subject_id='{key}').order_by('id').values_list('verb', flat=True))"
    )
    assert verbs == "key_created reveal_failed"


ROOMS = ("accounts", "apikeys", "audit", "credentials", "gateway", "keyportal", "tokens")
BY_LIBRARY = {
    *(
        EventType.EMAIL_CONFIRM,
        EventType.EMAIL_DELETED,
        EventType.PASSWORD_CHANGED,
        EventType.PASSWORD_RESET,
        EventType.RECOVERY_CODES_GENERATED,
    ),
    *(EventType.TOTP_ACTIVATED, EventType.TOTP_DEACTIVATED, EventType.WEBAUTHN_ADDED, EventType.WEBAUTHN_REMOVED),
}
"""Recorded under the names of the library's messages."""


def recorded_types() -> set[EventType]:
    """Return the types of event that some line of the rooms names."""
    lines = "".join(path.read_text() for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return {EventType[name] for name in re.findall(r"EventType\.([A-Z_]+)", lines)}


def test_every_type_of_event_is_recorded_and_has_a_sentence() -> None:
    assert recorded_types() | BY_LIBRARY == set(EventType)
    assert all(kind.sentence[0].isupper() and kind.value == kind.name.lower() for kind in EventType)


@pytest.mark.parametrize("folder", ["account", "mfa"])
def test_every_message_of_the_library_is_a_type_of_event(folder: str) -> None:
    """The library names the events of which it notifies by these templates."""
    messages = Path(allauth.__file__).parent / "templates" / folder / "email"
    names = {path.name.removesuffix("_subject.txt") for path in messages.glob("*_subject.txt")}
    unknown = {name for name in names if name.upper() not in EventType.__members__}
    assert unknown <= {
        *("account_already_exists", "email_confirmation", "email_confirmation_signup", "login_code", "unknown_account"),
        *("password_reset_key", "password_reset_code"),
    }


def test_the_sentence_of_an_unknown_verb_is_the_verb() -> None:
    assert sentence_of("left_the_building") == "Left the building"
