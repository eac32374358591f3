"""Sign-up and confirmation: what the owner of an address sees and what a stranger does not learn."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from accounts.models import User
from accounts.services import unconfirm_user
from audit.models import Event
from tests.accounts.log_in_form import is_logged_in
from tests.accounts.mailbox import post
from tests.conftest import ORIGIN, PASSWORD, LogIn
from tests.portal import Portal

pytestmark = pytest.mark.django_db


def confirmation_path() -> str:
    found = re.search(r"https://portal\.test(/accounts/confirm-email/\S+)", str(mail.outbox[-1].body))
    assert found
    return found[1]


def test_sign_up_confirm_and_in(client: Client) -> None:
    answer = post(client, "/accounts/signup/", email="New.Person@Example.com", password1=PASSWORD)
    assert answer["Location"] == "/accounts/confirm-email/"
    user = User.objects.get()
    assert (user.email, user.is_confirmed) == ("new.person@example.com", False)
    assert not is_logged_in(client)
    path = confirmation_path()
    assert "Yes, confirm" in client.get(path, secure=True).content.decode()
    assert not User.objects.get().is_confirmed
    assert post(client, path)["Location"] == "/keys/"
    assert User.objects.get().is_confirmed
    assert is_logged_in(client)
    verbs = list(Event.objects.order_by("id").values_list("verb", flat=True))
    assert verbs == ["signed_up", "email_confirmed", "logged_in"]


@pytest.mark.security("A-11")
def test_a_confirmation_link_works_once_and_for_a_day(client: Client, time_machine: Any) -> None:
    post(client, "/accounts/signup/", email="new@example.com", password1=PASSWORD)
    path = confirmation_path()
    stranger = Client()
    assert post(stranger, path)["Location"].startswith("/accounts/login/")
    assert not is_logged_in(stranger)
    assert "This link no longer works" in stranger.get(path, secure=True).content.decode()


@pytest.mark.security("A-09")
def test_a_taken_address_is_answered_like_a_free_one(client: Client, developer: User) -> None:
    taken = post(client, "/accounts/signup/", email=developer.email, password1=PASSWORD)
    free = post(Client(), "/accounts/signup/", email="free@example.com", password1=PASSWORD)
    assert (taken.status_code, taken["Location"]) == (free.status_code, free["Location"])
    assert User.objects.filter(email=developer.email).count() == 1
    assert [message.to for message in mail.outbox] == [[developer.email], ["free@example.com"]]


@pytest.mark.finding("H9")
def test_a_sign_up_with_a_taken_address_leaves_nothing_behind(client: Client, developer: User) -> None:
    events = Event.objects.count()
    post(client, "/accounts/signup/", email=developer.email, password1=PASSWORD)
    assert list(User.objects.all()) == [developer]
    assert Event.objects.count() == events


@pytest.mark.security("A-01")
@pytest.mark.security("A-04")
@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("short", False),
        ("fourteen chars", False),
        ("password123456789", False),
        ("1q2w3e4r5t6y7u8i", False),
        ("keyportal2026keyportal", False),
        ("new.person@example.com", False),
        ("aaaa bbbb cccc dddd", True),
        ("x7" * 64, True),
        ("ü" * 40, True),
    ],
)
@pytest.mark.security("A-03")
def test_a_password_is_long_and_not_common(client: Client, password: str, good: bool) -> None:
    answer = post(client, "/accounts/signup/", email="new.person@example.com", password1=password)
    assert answer.status_code == (302 if good else 200)
    assert User.objects.exists() is good


@pytest.mark.security("A-06")
@pytest.mark.parametrize(
    ("path", "kind"), [("/accounts/login/", "current-password"), ("/accounts/signup/", "new-password")]
)
def test_a_password_manager_finds_its_field_and_may_paste(client: Client, path: str, kind: str) -> None:
    page = client.get(path, secure=True).content.decode()
    (field,) = re.findall(r'<input type="password"[^>]*>', page)
    assert f'autocomplete="{kind}"' in field
    assert "maxlength" not in field
    assert "paste" not in page


@pytest.mark.security("A-07")
def test_a_password_is_stored_as_argon2id_at_the_cost_that_django_gives_it(portal: Portal, tmp_path: Path) -> None:
    portal.make_developer("hashed@example.com")
    stored = portal.shell("print(User.objects.get(email='hashed@example.com').password)")
    assert stored.startswith("argon2$argon2id$v=19$m=64,t=1,p=8$")  # cheap in the tests' portals alone
    bare = Portal(tmp_path, "sqlite:///none")
    bare.python_path = ""
    hashing = "from django.contrib.auth.hashers import make_password; print(make_password('x'))"
    hashed = bare.start_command("shell", "--no-imports", "-c", hashing)
    assert hashed.stdout.startswith("argon2$argon2id$v=19$m=102400,t=2,p=8$"), hashed.stderr


@pytest.mark.conformance("BA-04")
def test_an_address_that_basic_could_not_carry_is_refused(client: Client) -> None:
    answer = post(client, "/accounts/signup/", email='"a:b"@example.com', password1=PASSWORD)
    assert answer.status_code == 200
    assert not User.objects.exists()


def test_a_person_whose_confirmation_was_taken_back_sees_it_and_gets_a_new_link(log_in: LogIn, developer: User) -> None:
    client = log_in(developer)
    unconfirm_user(user=developer, origin=ORIGIN)
    assert "isn't confirmed" in client.get("/keys/", secure=True).content.decode()
    post(client, "/accounts/email/resend/")
    assert post(client, confirmation_path()).status_code == 302
    assert User.objects.get().is_confirmed
