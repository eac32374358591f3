"""Limits on guessing passwords: reached by requests, each in its own words, and none locks the owner out."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from audit.models import Event
from tests.accounts.attempts import EMAIL, START, browser_at, in_one_window, is_stopped_with, try_basic, try_password
from tests.accounts.mailbox import get, link_to, post
from tests.conftest import PASSWORD, LogIn, MakeUser

__all__ = ["in_one_window"]

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.finding("H13"),
    pytest.mark.usefixtures("in_one_window"),
    pytest.mark.sweep,  # many guesses
]


def test_wrong_passwords_from_one_place_end_in_429(developer: User) -> None:
    client = Client()
    assert {try_password(client).status_code for _ in range(10)} == {200}
    stopped = try_password(client)
    assert is_stopped_with(stopped, "wrong passwords for this account from here")
    assert "unlocks this browser" not in stopped.content.decode()
    assert is_stopped_with(try_password(client, password=PASSWORD), "from here")
    assert try_password(browser_at(9), password=PASSWORD).status_code == 302


def test_wrong_passwords_for_many_accounts_from_one_address_end_in_429(developer: User) -> None:
    client = Client()
    answers = [try_password(client, f"nobody{number}@example.com").status_code for number in range(30)]
    assert set(answers) == {200}
    assert is_stopped_with(try_password(client, "nobody99@example.com"), "from your network")
    assert try_password(browser_at(9), password=PASSWORD).status_code == 302


def test_strangers_from_the_same_network_do_not_keep_a_browser_out_that_the_account_knows(developer: User) -> None:
    browser = Client()
    try_password(browser, password=PASSWORD)
    post(browser, "/accounts/logout/")
    for number in range(31):
        answer = try_password(Client(), f"nobody{number}@example.com")
    assert is_stopped_with(answer, "from your network")
    assert is_stopped_with(try_password(Client(), password=PASSWORD), "from your network")
    assert try_password(browser, password=PASSWORD).status_code == 302
    assert get(browser, "/keys/").status_code == 200


def test_a_known_browser_has_a_limit_of_its_own_and_none_for_other_accounts(developer: User) -> None:
    browser = Client()
    try_password(browser, password=PASSWORD)
    post(browser, "/accounts/logout/")
    assert {try_password(browser).status_code for _ in range(10)} == {200}
    assert is_stopped_with(try_password(browser), "wrong passwords for this account from here")
    answers = [try_password(browser, f"nobody{number}@example.com").status_code for number in range(31)]
    assert (set(answers[:-1]), answers[-1]) == ({200}, 429)


def test_customers_behind_nat64_are_addresses_of_their_own(developer: User) -> None:
    for number in range(31):
        answer = try_password(Client(REMOTE_ADDR="64:ff9b::198.51.100.1"), f"nobody{number}@example.com")
    assert is_stopped_with(answer, "your network")
    assert try_password(Client(REMOTE_ADDR="64:ff9b::198.51.100.2"), password=PASSWORD).status_code == 302


def test_one_customer_with_many_ipv6_addresses_is_one_address(developer: User) -> None:
    for number in range(30):
        try_password(Client(REMOTE_ADDR=f"2001:db8:1:2:{number:x}::1"), f"nobody{number}@example.com")
    assert is_stopped_with(
        try_password(Client(REMOTE_ADDR="2001:db8:1:2:ffff::1"), "nobody99@example.com"), "your network"
    )
    assert try_password(Client(REMOTE_ADDR="2001:db8:1:3::1"), "nobody99@example.com").status_code == 200


def test_the_portal_and_the_auth_endpoint_count_guesses_together(developer: User) -> None:
    client = Client()
    for _ in range(5):
        assert try_password(client).status_code == 200
        assert try_basic(client).status_code == 401
    assert try_password(client).status_code == 429
    assert try_basic(client).status_code == 429


def test_guesses_from_everywhere_delay_the_account_and_a_link_lets_its_owner_in(developer: User) -> None:
    for number in range(20):
        assert try_password(browser_at(number)).status_code == 200
    owner = browser_at(200)
    waiting = try_password(owner, password=PASSWORD)
    assert is_stopped_with(waiting, "guessing passwords for this account")
    assert int(waiting["Retry-After"]) <= 900
    assert "/accounts/login/unlock/" in waiting.content.decode()
    assert post(owner, "/accounts/login/unlock/", email=EMAIL).status_code == 200
    link = link_to(EMAIL, "/accounts/login/unlock/")
    assert get(owner, link).status_code == 200
    assert try_password(owner, password=PASSWORD).status_code == 429  # opening it has done nothing yet
    assert post(owner, link)["Location"] == "/accounts/login/"
    assert try_password(owner, password=PASSWORD).status_code == 302
    assert get(owner, "/keys/").status_code == 200
    assert post(browser_at(201), link).status_code == 410
    assert Event.objects.filter(verb="browser_unlocked", subject_id=developer.pk).count() == 1


def test_a_log_in_that_must_wait_uses_up_no_other_limit(developer: User, time_machine: Any) -> None:
    for number in range(20):
        try_password(browser_at(number))
    owner = browser_at(200)
    answers = [try_password(owner, password=PASSWORD) for _ in range(11)]
    assert all(is_stopped_with(answer, "guessing passwords for this account") for answer in answers)
    time_machine.move_to(START + timedelta(seconds=31), tick=False)
    assert try_password(owner, password=PASSWORD).status_code == 302


def test_a_network_that_must_wait_delays_no_account(developer: User) -> None:
    client = Client()
    for number in range(30):
        try_password(client, f"nobody{number}@example.com")
    answers = [try_password(client) for _ in range(25)]
    assert all(is_stopped_with(answer, "from your network") for answer in answers)
    assert try_password(browser_at(9), password=PASSWORD).status_code == 302


def test_the_links_browser_still_needs_the_password(developer: User) -> None:
    client = browser_at(1)
    post(client, "/accounts/login/unlock/", email=EMAIL)
    post(client, link_to(EMAIL, "/accounts/login/unlock/"))
    assert get(client, "/keys/").status_code == 302
    assert try_password(client).status_code == 200
    assert get(client, "/keys/").status_code == 302


def test_a_place_where_the_owner_was_before_is_open_whatever_strangers_do(developer: User) -> None:
    browser = browser_at(100)
    try_password(browser, password=PASSWORD)
    post(browser, "/accounts/logout/")
    for number in range(25):
        try_password(browser_at(number))
    assert try_password(browser_at(99), password=PASSWORD).status_code == 429
    browser.defaults["REMOTE_ADDR"] = "203.0.113.200"  # it has moved: the cookie is enough
    assert try_password(browser, password=PASSWORD).status_code == 302
    assert try_basic(browser_at(100), password=PASSWORD).status_code == 200  # the address is enough as well


def test_an_account_of_ones_own_makes_no_place_known_to_another(developer: User, make_user: MakeUser) -> None:
    guesser = browser_at(99)
    try_password(guesser, make_user("guesser@example.com").email, PASSWORD)
    post(guesser, "/accounts/logout/")
    for number in range(20):
        try_password(browser_at(number))
    assert is_stopped_with(try_password(guesser), "guessing passwords for this account")


def test_a_browser_is_a_known_place_for_a_year(developer: User, time_machine: Any) -> None:
    browser = browser_at(100)
    try_password(browser, password=PASSWORD)
    browser.defaults["REMOTE_ADDR"] = "203.0.113.200"
    cookie = browser.cookies["__Host-device"].value

    def is_known(after: timedelta) -> bool:
        time_machine.move_to(START + after, tick=False)
        for number in range(21):
            try_password(browser_at(number))
        browser.cookies.clear()  # of which the session would be over
        browser.cookies["__Host-device"] = cookie
        return bool(try_password(browser).status_code == 200)

    assert is_known(timedelta(days=364))
    assert not is_known(timedelta(days=366))


def test_right_passwords_use_nothing_up(developer: User) -> None:
    for _ in range(15):
        client = browser_at(1)
        assert try_password(client, password=PASSWORD).status_code == 302


def test_the_current_password_can_not_be_guessed_where_it_is_changed(developer: User, log_in: LogIn) -> None:
    client = log_in(developer)
    fields = {"password1": "a quite different phrase", "password2": "a quite different phrase"}
    answers = [post(client, "/accounts/password/change/", oldpassword=f"guess {n}", **fields) for n in range(11)]
    assert answers[0].status_code == 200
    assert is_stopped_with(answers[-1], "wrong passwords")


def test_tokens_for_one_account_are_limited(developer: User, settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_TOKENS = "3 per hour"
    client = Client()
    assert [try_basic(client, password=PASSWORD).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_every_limit_is_a_setting(developer: User, settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_LOGIN_PLACE = "2 per hour"
    client = Client()
    assert [try_password(client).status_code for _ in range(3)] == [200, 200, 429]


def test_a_limit_of_guesses_is_a_problem_for_machines(developer: User) -> None:
    client = Client()
    for _ in range(10):
        try_basic(client)
    assert try_basic(client, "nobody@example.com").status_code == 401
    answer = try_basic(client)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert int(answer["Retry-After"]) > 0


def test_a_stranger_can_not_lock_an_address_out_that_has_no_account(make_user: MakeUser) -> None:
    for number in range(25):
        try_password(browser_at(number), "later@example.com")
    make_user("later@example.com")
    client = browser_at(200)
    post(client, "/accounts/login/unlock/", email="later@example.com")
    post(client, link_to("later@example.com", "/accounts/login/unlock/"))
    assert try_password(client, "later@example.com", PASSWORD).status_code == 302
