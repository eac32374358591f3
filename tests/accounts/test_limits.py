"""Each limit of log-in, sign-up, codes and messages: reached by requests, in its own words, locking nobody out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from audit.models import Event
from tests.accounts.mailbox import get, link_to, messages_to, post
from tests.accounts.test_second_factor import code_of
from tests.conftest import PASSWORD, LogIn, MakeUser
from tests.oauth_client import basic

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H13")]
EMAIL = "dev@example.com"
START = datetime.fromtimestamp(1_800_000_010, UTC)


@pytest.fixture(autouse=True)
def in_one_window(time_machine: Any) -> None:
    """Let the clock stand: what is counted at the edge of a window weighs less, and a slow machine takes its time."""
    time_machine.move_to(START, tick=False)


def somewhere(number: int, **more: Any) -> Client:
    """Give a browser at an address of its own."""
    return Client(REMOTE_ADDR=f"198.51.100.{number}", **more)


def log_in(client: Client, email: str = EMAIL, password: str = "wrong") -> Any:
    return post(client, "/accounts/login/", login=email, password=password)


def basic_log_in(client: Client, email: str = EMAIL, password: str = "wrong") -> Any:
    headers = {"Authorization": basic(email, password)}
    return client.post("/api/v1/tokens", content_type="application/json", secure=True, headers=headers)


def stopped(answer: Any, words: str) -> bool:
    """Tell whether a limit says its own words, and how long to wait."""
    return answer.status_code == 429 and words in answer.content.decode() and int(answer["Retry-After"]) > 0


def test_wrong_passwords_from_one_place_end_in_429(developer: User) -> None:
    client = Client()
    assert {log_in(client).status_code for _ in range(10)} == {200}
    assert stopped(log_in(client), "wrong passwords for this account from here")
    assert stopped(log_in(client, password=PASSWORD), "from here")
    assert log_in(somewhere(9), password=PASSWORD).status_code == 302


def test_wrong_passwords_for_many_accounts_from_one_address_end_in_429(developer: User) -> None:
    client = Client()
    answers = [log_in(client, f"nobody{number}@example.com").status_code for number in range(30)]
    assert set(answers) == {200}
    assert stopped(log_in(client, "nobody99@example.com"), "from your network")
    assert log_in(somewhere(9), password=PASSWORD).status_code == 302


def test_strangers_from_the_same_network_do_not_keep_a_browser_out_that_the_account_knows(developer: User) -> None:
    browser = Client()
    log_in(browser, password=PASSWORD)
    post(browser, "/accounts/logout/")
    for number in range(31):
        answer = log_in(Client(), f"nobody{number}@example.com")
    assert stopped(answer, "from your network")
    assert stopped(log_in(Client(), password=PASSWORD), "from your network")
    assert log_in(browser, password=PASSWORD).status_code == 302
    assert get(browser, "/keys/").status_code == 200


def test_a_known_browser_has_a_limit_of_its_own_and_none_for_other_accounts(developer: User) -> None:
    browser = Client()
    log_in(browser, password=PASSWORD)
    post(browser, "/accounts/logout/")
    assert {log_in(browser).status_code for _ in range(10)} == {200}
    assert stopped(log_in(browser), "wrong passwords for this account from here")
    answers = [log_in(browser, f"nobody{number}@example.com").status_code for number in range(31)]
    assert (set(answers[:-1]), answers[-1]) == ({200}, 429)


def test_customers_behind_nat64_are_addresses_of_their_own(developer: User) -> None:
    for number in range(31):
        answer = log_in(Client(REMOTE_ADDR="64:ff9b::198.51.100.1"), f"nobody{number}@example.com")
    assert stopped(answer, "your network")
    assert log_in(Client(REMOTE_ADDR="64:ff9b::198.51.100.2"), password=PASSWORD).status_code == 302


def test_one_customer_with_many_ipv6_addresses_is_one_address(developer: User) -> None:
    for number in range(30):
        log_in(Client(REMOTE_ADDR=f"2001:db8:1:2:{number:x}::1"), f"nobody{number}@example.com")
    assert stopped(log_in(Client(REMOTE_ADDR="2001:db8:1:2:ffff::1"), "nobody99@example.com"), "your network")
    assert log_in(Client(REMOTE_ADDR="2001:db8:1:3::1"), "nobody99@example.com").status_code == 200


def test_the_portal_and_the_auth_endpoint_count_guesses_together(developer: User) -> None:
    client = Client()
    for _ in range(5):
        assert log_in(client).status_code == 200
        assert basic_log_in(client).status_code == 401
    assert log_in(client).status_code == 429
    assert basic_log_in(client).status_code == 429


def test_guesses_from_everywhere_delay_the_account_and_a_link_lets_its_owner_in(developer: User) -> None:
    for number in range(20):
        assert log_in(somewhere(number)).status_code == 200
    owner = somewhere(200)
    waiting = log_in(owner, password=PASSWORD)
    assert stopped(waiting, "guessing passwords for this account")
    assert int(waiting["Retry-After"]) <= 900
    assert "/accounts/login/unlock/" in waiting.content.decode()
    assert post(owner, "/accounts/login/unlock/", email=EMAIL).status_code == 200
    link = link_to(EMAIL, "/accounts/login/unlock/")
    assert get(owner, link).status_code == 200
    assert log_in(owner, password=PASSWORD).status_code == 429  # opening it has done nothing yet
    assert post(owner, link)["Location"] == "/accounts/login/"
    assert log_in(owner, password=PASSWORD).status_code == 302
    assert get(owner, "/keys/").status_code == 200
    assert post(somewhere(201), link).status_code == 410
    assert Event.objects.filter(verb="browser_unlocked", subject_id=developer.pk).count() == 1


def test_whoever_waits_for_a_delay_uses_up_no_other_limit(developer: User, time_machine: Any) -> None:
    for number in range(20):
        log_in(somewhere(number))
    owner = somewhere(200)
    answers = [log_in(owner, password=PASSWORD) for _ in range(11)]
    assert all(stopped(answer, "guessing passwords for this account") for answer in answers)
    time_machine.move_to(START + timedelta(seconds=31), tick=False)
    assert log_in(owner, password=PASSWORD).status_code == 302


def test_a_network_that_must_wait_delays_no_account(developer: User) -> None:
    client = Client()
    for number in range(30):
        log_in(client, f"nobody{number}@example.com")
    answers = [log_in(client) for _ in range(25)]
    assert all(stopped(answer, "from your network") for answer in answers)
    assert log_in(somewhere(9), password=PASSWORD).status_code == 302


def test_the_links_browser_still_needs_the_password(developer: User) -> None:
    client = somewhere(1)
    post(client, "/accounts/login/unlock/", email=EMAIL)
    post(client, link_to(EMAIL, "/accounts/login/unlock/"))
    assert get(client, "/keys/").status_code == 302
    assert log_in(client).status_code == 200
    assert get(client, "/keys/").status_code == 302


def test_a_place_where_the_owner_was_before_is_open_whatever_strangers_do(developer: User) -> None:
    browser = somewhere(100)
    log_in(browser, password=PASSWORD)
    post(browser, "/accounts/logout/")
    for number in range(25):
        log_in(somewhere(number))
    assert log_in(somewhere(99), password=PASSWORD).status_code == 429
    browser.defaults["REMOTE_ADDR"] = "203.0.113.200"  # it has moved: the cookie is enough
    assert log_in(browser, password=PASSWORD).status_code == 302
    assert basic_log_in(somewhere(100), password=PASSWORD).status_code == 200  # the address is enough as well


def test_an_account_of_ones_own_makes_no_place_known_to_another(developer: User, make_user: MakeUser) -> None:
    guesser = somewhere(99)
    log_in(guesser, make_user("guesser@example.com").email, PASSWORD)
    post(guesser, "/accounts/logout/")
    for number in range(20):
        log_in(somewhere(number))
    assert stopped(log_in(guesser), "guessing passwords for this account")


def test_a_browser_is_a_known_place_for_a_year(developer: User, time_machine: Any) -> None:
    browser = somewhere(100)
    log_in(browser, password=PASSWORD)
    browser.defaults["REMOTE_ADDR"] = "203.0.113.200"
    cookie = browser.cookies["__Host-device"].value

    def is_known(after: timedelta) -> bool:
        time_machine.move_to(START + after, tick=False)
        for number in range(21):
            log_in(somewhere(number))
        browser.cookies.clear()  # of which the session would be over
        browser.cookies["__Host-device"] = cookie
        return bool(log_in(browser).status_code == 200)

    assert is_known(timedelta(days=364))
    assert not is_known(timedelta(days=366))


def test_right_passwords_use_nothing_up(developer: User) -> None:
    for _ in range(15):
        client = somewhere(1)
        assert log_in(client, password=PASSWORD).status_code == 302


def test_wrong_codes_end_in_429_and_are_on_the_record(developer: User) -> None:
    TOTP.activate(developer, generate_totp_secret())
    client = Client()
    log_in(client, password=PASSWORD)
    for _ in range(10):
        assert post(client, "/accounts/2fa/authenticate/", code="000000").status_code == 200
    assert stopped(post(client, "/accounts/2fa/authenticate/", code="000000"), "wrong codes")
    failures = Event.objects.filter(verb="second_factor_failed", subject_id=developer.pk)
    assert failures.count() == 10


def test_wrong_codes_from_everywhere_delay_only_new_places(developer: User, log_in: LogIn) -> None:
    known = somewhere(250)
    post(known, "/accounts/login/", login=EMAIL, password=PASSWORD)
    TOTP.activate(User.objects.get(), generate_totp_secret())
    for number in range(20):
        client = somewhere(number)
        post(client, "/accounts/login/", login=EMAIL, password=PASSWORD)
        assert post(client, "/accounts/2fa/authenticate/", code="000000").status_code == 200
    late = somewhere(99)
    post(late, "/accounts/login/", login=EMAIL, password=PASSWORD)
    assert stopped(post(late, "/accounts/2fa/authenticate/", code="000000"), "guessing codes")
    post(known, "/accounts/logout/")
    post(known, "/accounts/login/", login=EMAIL, password=PASSWORD)
    assert post(known, "/accounts/2fa/authenticate/", code="000000").status_code == 200


@pytest.mark.finding("H31")
def test_a_wrong_code_for_a_fresh_log_in_is_limited_and_on_the_record(developer: User, log_in: LogIn) -> None:
    client = log_in(developer)
    TOTP.activate(developer, generate_totp_secret())
    for _ in range(10):
        assert post(client, "/accounts/2fa/reauthenticate/", code="000000").status_code == 200
    assert post(client, "/accounts/2fa/reauthenticate/", code="000000").status_code == 429
    assert Event.objects.filter(verb="second_factor_failed", subject_id=developer.pk).count() == 10


def test_wrong_first_codes_of_an_app_are_limited(developer: User, log_in: LogIn) -> None:
    client, path = log_in(developer), "/accounts/2fa/totp/activate/"
    post(client, "/accounts/reauthenticate/", password=PASSWORD)
    get(client, path)
    assert {post(client, path, code="000000").status_code for _ in range(10)} == {200}
    assert stopped(post(client, path, code="000000"), "wrong codes")


def test_right_codes_use_nothing_up(developer: User, log_in: LogIn, time_machine: Any) -> None:
    client, secret = log_in(developer), generate_totp_secret()
    TOTP.activate(developer, secret)
    for number in range(12):
        time_machine.move_to(START + timedelta(seconds=30 * number), tick=False)  # a code is good once
        assert post(client, "/accounts/2fa/reauthenticate/", code=code_of(secret)).status_code == 302


def test_log_ins_by_a_passkey_are_limited_for_an_address(settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_PASSKEY = "10 per 5 minutes"
    client, path = Client(), "/accounts/2fa/webauthn/login/"
    script = {"X-Requested-With": "XMLHttpRequest"}
    assert {client.get(path, secure=True, headers=script).status_code for _ in range(5)} == {200}
    assert {post(client, path, credential="{}").status_code for _ in range(5)} == {302}
    assert stopped(post(client, path, credential="{}"), "Too many passkey attempts from your network.")
    assert stopped(client.get(path, secure=True, headers=script), "passkey attempts")
    assert post(somewhere(9), path, credential="{}").status_code == 302


def test_the_current_password_can_not_be_guessed_where_it_is_changed(developer: User, log_in: LogIn) -> None:
    client = log_in(developer)
    fields = {"password1": "a quite different phrase", "password2": "a quite different phrase"}
    answers = [post(client, "/accounts/password/change/", oldpassword=f"guess {n}", **fields) for n in range(11)]
    assert answers[0].status_code == 200
    assert stopped(answers[-1], "wrong passwords")


def test_sign_ups_of_one_address_end_in_429_and_only_good_forms_count() -> None:
    client = Client()
    for number in range(25):
        assert post(client, "/accounts/signup/", email=f"n{number}@example.com", password1="short").status_code == 200
    for number in range(20):
        answer = post(client, "/accounts/signup/", email=f"n{number}@example.com", password1=PASSWORD)
        assert answer.status_code == 302
    over = post(client, "/accounts/signup/", email="over@example.com", password1=PASSWORD)
    assert stopped(over, "accounts were created from your network")
    assert int(over["Retry-After"]) > 60
    assert "minute" in over.content.decode()
    assert not User.objects.filter(email="over@example.com").exists()


@pytest.mark.parametrize("path", ["/accounts/password/reset/", "/accounts/login/unlock/"])
def test_one_mailbox_gets_so_many_messages_and_no_more(developer: User, path: str) -> None:
    for number in range(5):
        assert post(somewhere(number), path, email=EMAIL).status_code in (200, 302)
    assert stopped(post(somewhere(99), path, email=EMAIL), "several messages")
    assert len(messages_to(EMAIL)) == 5
    assert stopped(post(somewhere(98), path, email="DEV@example.com"), "several messages")


def test_one_mailbox_gets_so_many_messages_by_sign_ups_and_no_more(developer: User) -> None:
    for number in range(5):
        assert post(somewhere(number), "/accounts/signup/", email=EMAIL, password1=PASSWORD).status_code == 302
    assert stopped(post(somewhere(99), "/accounts/signup/", email=EMAIL, password1=PASSWORD), "several messages")
    assert len(messages_to(EMAIL)) == 5


def test_one_mailbox_gets_so_many_messages_by_log_ins_and_no_more(make_user: MakeUser) -> None:
    make_user(EMAIL, confirmed=False)
    for number in range(5):
        assert log_in(somewhere(number), password=PASSWORD)["Location"] == "/accounts/confirm-email/"
    assert stopped(log_in(somewhere(99), password=PASSWORD), "several messages")
    assert len(messages_to(EMAIL)) == 5


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("/accounts/password/reset/", "/accounts/login/unlock/"),
        ("/accounts/login/unlock/", "/accounts/password/reset/"),
    ],
)
def test_messages_that_a_stranger_asks_for_use_up_none_that_let_the_owner_in(
    developer: User, make_user: MakeUser, log_in: LogIn, path: str, other: str
) -> None:
    attacker = log_in(make_user("attacker@example.com"))
    for number in range(6):
        signed_up = post(somewhere(number), "/accounts/signup/", email=EMAIL, password1=PASSWORD)
        asked = post(attacker, "/accounts/email/", email=EMAIL)
        asked_too = post(somewhere(number), other, email=EMAIL)
    assert {answer.status_code for answer in (signed_up, asked, asked_too)} == {429}
    mail.outbox.clear()
    assert post(somewhere(99), path, email=EMAIL).status_code in (200, 302)
    assert get(Client(), link_to(EMAIL, path)).status_code in (200, 302)


def test_the_button_that_sends_the_confirmation_again_is_limited(make_user: MakeUser, log_in: LogIn) -> None:
    client = log_in(make_user(EMAIL, confirmed=False))
    answers = [post(client, "/accounts/email/resend/") for _ in range(6)]
    assert [answer.status_code for answer in answers[:5]] == [302] * 5
    assert stopped(answers[5], "several messages")
    assert len(messages_to(EMAIL)) == 5


def test_one_address_asks_for_so_many_messages_and_no_more(developer: User) -> None:
    client = Client()
    for number in range(30):
        assert post(client, "/accounts/password/reset/", email=f"nobody{number}@example.com").status_code == 302
    assert stopped(post(client, "/accounts/password/reset/", email=EMAIL), "requested from your network")
    assert len(mail.outbox) == 30


def test_tokens_for_one_account_are_limited(developer: User, settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_TOKENS = "3 per hour"
    client = Client()
    assert [basic_log_in(client, password=PASSWORD).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_every_limit_is_a_setting(developer: User, settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_LOGIN_PLACE = "2 per hour"
    client = Client()
    assert [log_in(client).status_code for _ in range(3)] == [200, 200, 429]


def test_a_limit_of_guesses_is_a_problem_for_machines(developer: User) -> None:
    client = Client()
    for _ in range(10):
        basic_log_in(client)
    assert basic_log_in(client, "nobody@example.com").status_code == 401
    answer = basic_log_in(client)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert int(answer["Retry-After"]) > 0


def test_a_stranger_can_not_lock_an_address_out_that_has_no_account(make_user: MakeUser) -> None:
    for number in range(25):
        log_in(somewhere(number), "later@example.com")
    make_user("later@example.com")
    client = somewhere(200)
    post(client, "/accounts/login/unlock/", email="later@example.com")
    post(client, link_to("later@example.com", "/accounts/login/unlock/"))
    assert log_in(client, "later@example.com", PASSWORD).status_code == 302
