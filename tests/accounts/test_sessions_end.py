"""What ends sessions ends all of them, also those whose row in the library's table was deleted."""

from collections.abc import Callable
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client

from accounts.models import User
from accounts.services import deactivate_user, end_all_tokens, reactivate_user
from audit.models import Event
from tests.accounts.log_in_form import browser_of, is_logged_in
from tests.accounts.mailbox import get, link_to, post
from tests.conftest import ORIGIN, PASSWORD
from tokens import services as tokens
from tokens.closing import close_account
from tokens.models import TokenFamily

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H16")]
EMAIL, NEW_PASSWORD = "dev@example.com", "a quite different phrase"


@pytest.fixture
def two(developer: User) -> tuple[Client, Client]:
    """The owner's browser, and another one whose row was deleted."""
    mine, other = browser_of(EMAIL), browser_of(EMAIL)
    assert is_logged_in(mine)
    assert is_logged_in(other)
    UserSession.objects.all().delete()
    return mine, other


def sign_out_elsewhere(mine: Client) -> Any:
    return post(mine, "/accounts/sessions/")


def change_password(mine: Client) -> Any:
    fields = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    return post(mine, "/accounts/password/change/", **fields)


@pytest.mark.parametrize("end", [sign_out_elsewhere, change_password])
def test_every_other_session_ends_and_this_one_goes_on(
    two: tuple[Client, Client], end: Callable[[Client], Any]
) -> None:
    mine, other = two
    assert end(mine).status_code == 302
    assert not is_logged_in(other)
    assert is_logged_in(mine)
    assert is_logged_in(mine)


def test_signing_out_everywhere_else_ends_apps_is_recorded_and_leaves_the_account_whole(
    two: tuple[Client, Client], developer: User
) -> None:
    tokens.issue_to_user(user=User.objects.get(), scopes=None, agent="", origin=ORIGIN)
    sign_out_elsewhere(two[0])
    user = User.objects.get()
    assert user.seal_is_valid()
    assert TokenFamily.objects.get().epoch != user.auth_epoch
    assert Event.objects.filter(verb="signed_out_everywhere", subject_id=developer.pk).count() == 1
    assert "Signed out everywhere else" in get(two[0], "/account/history/").content.decode()


def test_an_epoch_of_sessions_that_is_put_back_lets_nobody_in(two: tuple[Client, Client], developer: User) -> None:
    mine, other = two
    sign_out_elsewhere(mine)
    User.objects.filter(pk=developer.pk).update(session_epoch=0)
    assert not is_logged_in(other)


def test_undoing_a_change_of_address_ends_every_session(two: tuple[Client, Client], developer: User) -> None:
    mine, other = two
    post(mine, "/accounts/email/", email="evil@example.com")
    assert post(mine, link_to("evil@example.com", "/email/confirm/")).status_code == 302
    UserSession.objects.all().delete()
    assert post(Client(), link_to(EMAIL, "/email/undo/")).status_code == 302
    assert not is_logged_in(mine)
    assert not is_logged_in(other)


def test_a_closed_account_has_no_session(two: tuple[Client, Client], developer: User) -> None:
    close_account(user=developer, origin=ORIGIN)
    assert not any(is_logged_in(client) for client in two)


def test_an_account_that_is_switched_on_again_has_none_of_its_old_sessions(
    two: tuple[Client, Client], developer: User
) -> None:
    deactivate_user(user=developer, origin=ORIGIN)
    reactivate_user(user=developer, origin=ORIGIN)
    assert not any(is_logged_in(client) for client in two)
    assert is_logged_in(browser_of(EMAIL))


def test_ending_apps_ends_no_session(two: tuple[Client, Client], developer: User) -> None:
    end_all_tokens(user=User.objects.get(), origin=ORIGIN)
    assert all(is_logged_in(client) for client in two)
