"""Every limit of the accounts' pages, reached by requests: without one of them one of these tests fails."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from accounts.models import User
from accounts.services import unconfirm_user
from tests.accounts.test_second_factor import protected
from tests.conftest import ORIGIN, PASSWORD, MakeUser
from tests.limits import START, Clock, clock, is_limited

__all__ = ["clock", "protected"]  # fixtures

pytestmark = [pytest.mark.django_db, pytest.mark.finding("F")]
Enter = Callable[..., Client]
TOO_MANY = 429
SOMEWHERE = "203.0.113.7"


def elsewhere(number: int) -> Client:
    """A browser that nobody has seen, at an address of its own."""
    return Client(REMOTE_ADDR=f"198.51.100.{number}")


def post(client: Client, path: str, **fields: Any) -> Any:
    return client.post(path, fields, secure=True)


def guess(client: Client, email: str) -> bool:
    """Tell whether a wrong password was looked at."""
    return b"Too many" not in post(client, "/accounts/login/", login=email, password="wrong").content


def test_log_ins_of_an_address(developer: User, clock: Clock) -> None:
    def log_in(_: int) -> bool:
        fields = {"login": developer.email, "password": PASSWORD}
        return bool(post(Client(REMOTE_ADDR=SOMEWHERE), "/accounts/login/", **fields).status_code != TOO_MANY)

    is_limited(log_in, amount=60, seconds=60, clock=clock)


def test_wrong_passwords_of_an_address(clock: Clock) -> None:
    def try_another(number: int) -> bool:
        return guess(Client(REMOTE_ADDR=SOMEWHERE), f"nobody{number}@example.com")

    is_limited(try_another, amount=30, seconds=300, clock=clock)


def test_wrong_passwords_for_an_account(developer: User, clock: Clock) -> None:
    is_limited(lambda number: guess(elsewhere(number), developer.email), amount=10, seconds=300, clock=clock)


def test_wrong_passwords_for_an_account_in_a_day(developer: User, clock: Clock) -> None:
    def ten(of: int) -> list[bool]:
        clock.move_to(START + 301 * of, tick=False)
        return [guess(elsewhere(10 * of + number), developer.email) for number in range(10)]

    assert [ten(of) for of in range(10)] == [[True] * 10] * 10
    assert ten(10) == [False] * 10


def test_wrong_codes_for_an_account(protected: tuple[User, str], clock: Clock) -> None:
    def try_a_code(number: int) -> bool:
        client = elsewhere(number)
        post(client, "/accounts/login/", login=protected[0].email, password=PASSWORD)
        page = post(client, "/accounts/2fa/authenticate/", code="000000")
        assert page.status_code == 200
        return b"Too many" not in page.content

    is_limited(try_a_code, amount=10, seconds=300, clock=clock)


def test_sign_ups_of_an_address(clock: Clock) -> None:
    def sign_up(number: int) -> bool:
        client = Client(REMOTE_ADDR=SOMEWHERE)
        post(client, "/accounts/signup/", email=f"new{number}@example.com", password1=PASSWORD)
        return User.objects.filter(email=f"new{number}@example.com").exists()

    is_limited(sign_up, amount=20, seconds=3600, clock=clock)


def test_confirmation_messages_to_an_address(log_in: Enter, developer: User, clock: Clock) -> None:
    unconfirm_user(user=developer, origin=ORIGIN)
    client = log_in(developer)

    def ask(_: int) -> bool:
        before = len(mail.outbox)
        post(client, "/accounts/email/", email=developer.email, action_send="")
        return len(mail.outbox) > before

    is_limited(ask, amount=1, seconds=60, clock=clock)


def test_reset_messages_from_an_address(clock: Clock) -> None:
    def ask(number: int) -> bool:
        email = f"nobody{number}@example.com"
        answer = post(Client(REMOTE_ADDR=SOMEWHERE), "/accounts/password/reset/", email=email)
        return bool(answer.status_code != TOO_MANY)

    is_limited(ask, amount=20, seconds=60, clock=clock)


def test_reset_messages_to_an_account(developer: User, clock: Clock) -> None:
    def ask(number: int) -> bool:
        before = len(mail.outbox)
        post(elsewhere(number), "/accounts/password/reset/", email=developer.email)
        return len(mail.outbox) > before

    is_limited(ask, amount=5, seconds=60, clock=clock)


Action = Callable[[Client], Any]
OF_A_PERSON: dict[str, tuple[Action, int]] = {
    "confirmations of the password": (lambda client: post(client, "/accounts/reauthenticate/", password="wrong"), 10),
    "changes of the password": (lambda client: post(client, "/accounts/password/change/", oldpassword="wrong"), 5),
    "changes of the address": (lambda client: post(client, "/accounts/email/", action_add="", email="no"), 10),
}


@pytest.mark.parametrize("what", OF_A_PERSON)
def test_what_a_person_may_try_in_a_minute(log_in: Enter, make_user: MakeUser, clock: Clock, what: str) -> None:
    action, amount = OF_A_PERSON[what]
    client = log_in(make_user("tries@example.com"))
    is_limited(lambda _: action(client).status_code != TOO_MANY, amount=amount, seconds=60, clock=clock)


OF_AN_ADDRESS: dict[str, tuple[Action, int]] = {
    "new passwords by a link": (lambda client: post(client, "/accounts/password/reset/key/x-set-password/"), 20),
    "log-ins by a passkey": (lambda client: post(client, "/accounts/2fa/webauthn/login/", credential="{}"), 10),
}


@pytest.mark.parametrize("what", OF_AN_ADDRESS)
def test_what_an_address_may_try_in_a_minute(clock: Clock, what: str) -> None:
    action, amount = OF_AN_ADDRESS[what]

    def attempt(_: int) -> bool:
        return bool(action(Client(REMOTE_ADDR=SOMEWHERE)).status_code != TOO_MANY)

    is_limited(attempt, amount=amount, seconds=60, clock=clock)
