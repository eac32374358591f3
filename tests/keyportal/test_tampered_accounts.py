"""An attacker writes to the tables of accounts without the server's keys: they get in nowhere and gain no right."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts import links
from accounts.models import MailedLink, User
from accounts.services import create_user, reset_password
from accounts.sessions import session_digest
from integrity.sealed import TamperedRowError
from tests.accounts.log_in_form import browser_of, is_logged_in
from tests.accounts.mailbox import get, post
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeUser
from tests.oauth_client import basic
from tests.tampering import sql

pytestmark = pytest.mark.django_db
COOKIE = "__Host-sessionid"


def can_log_in(email: str, password: str) -> bool:
    return is_logged_in(browser_of(email, password))


def log_in_for_tokens(email: str, password: str) -> int:
    headers = {"Authorization": basic(email, password)}
    answer = Client().post("/api/v1/tokens", secure=True, content_type="application/json", headers=headers)
    return int(answer.status_code)


@pytest.mark.finding("H16")
def test_another_password_hash_lets_nobody_in(operator: User, make_user: MakeUser) -> None:
    mine = make_user("mine@example.com", password="a phrase of my own")
    sql("UPDATE accounts_user SET password = %s WHERE id = %s", mine.password, operator.pk)
    assert not can_log_in(operator.email, "a phrase of my own")
    assert log_in_for_tokens(operator.email, "a phrase of my own") == 401
    assert log_in_for_tokens(mine.email, "a phrase of my own") == 200


@pytest.mark.finding("H16")
@pytest.mark.parametrize("flags", ["is_staff = true", "is_staff = true, is_superuser = true"])
def test_nobody_makes_themselves_an_operator(log_in: LogIn, developer: User, flags: str) -> None:
    client = log_in(developer)
    sql(f"UPDATE accounts_user SET {flags} WHERE id = %s", developer.pk)
    assert get(client, "/admin/").status_code == 302
    assert not can_log_in(developer.email, PASSWORD)


@pytest.mark.finding("H16")
def test_a_copied_session_row_is_an_empty_session(log_in: LogIn, operator: User, make_user: MakeUser) -> None:
    client = log_in(operator)
    row = Session.objects.get(session_key=session_digest(client.cookies[COOKIE].value))
    thief = Client()
    post(thief, "/accounts/login/", login=make_user("thief@example.com").email, password=PASSWORD)
    own = session_digest(thief.cookies[COOKIE].value)
    sql("UPDATE django_session SET session_data = %s WHERE session_key = %s", row.session_data, own)
    assert get(thief, "/admin/").status_code == 302
    assert not is_logged_in(thief)


@pytest.mark.finding("H16")
def test_a_session_key_that_somebody_chose_opens_nothing(log_in: LogIn, operator: User) -> None:
    client = log_in(operator)
    chosen = session_digest("a token of the thief's own")
    sql(
        "UPDATE django_session SET session_key = %s WHERE session_key = %s",
        chosen,
        session_digest(client.cookies[COOKIE].value),
    )
    thief = Client()
    thief.cookies[COOKIE] = "a token of the thief's own"
    assert not is_logged_in(thief)


@pytest.mark.finding("H16")
def test_an_idle_session_is_not_prolonged_by_its_row(log_in: LogIn, developer: User, time_machine: Any) -> None:
    client = log_in(developer)
    time_machine.move_to(timezone.now() + timedelta(minutes=31))
    sql("UPDATE django_session SET expire_date = %s", timezone.now() + timedelta(days=9))
    assert not is_logged_in(client)


@pytest.mark.finding("H16")
def test_a_deleted_second_factor_does_not_leave_the_password_alone(developer: User) -> None:
    TOTP.activate(developer, generate_totp_secret())
    assert can_log_in(developer.email, PASSWORD) is False  # a code is asked for
    sql("DELETE FROM mfa_authenticator")
    assert not can_log_in(developer.email, PASSWORD)
    assert log_in_for_tokens(developer.email, PASSWORD) == 401


@pytest.mark.finding("H16")
def test_another_accounts_second_factor_is_none(developer: User, make_user: MakeUser) -> None:
    TOTP.activate(developer, generate_totp_secret())
    mine = make_user("mine@example.com")
    TOTP.activate(mine, generate_totp_secret())
    of_mine = "(SELECT data FROM mfa_authenticator WHERE user_id = %s)"
    sql(f"UPDATE mfa_authenticator SET data = {of_mine} WHERE user_id = %s", mine.pk, developer.pk)
    client = Client()
    answer = post(client, "/accounts/login/", login=developer.email, password=PASSWORD)
    assert answer.status_code == 409
    assert "can't be used" in answer.content.decode()


@pytest.mark.finding("H16")
def test_what_is_tampered_with_is_not_sealed_by_the_next_change(developer: User) -> None:
    TOTP.activate(developer, generate_totp_secret())
    sql("DELETE FROM mfa_authenticator")
    TOTP.activate(developer, generate_totp_secret())
    assert not can_log_in(developer.email, PASSWORD)
    client = Client()
    assert post(client, "/accounts/login/", login=developer.email, password=PASSWORD).status_code == 409


def sees_users(client: Client) -> bool:
    return bool(get(client, "/admin/accounts/user/").status_code == 200)


@pytest.mark.finding("H16")
@pytest.mark.parametrize(
    "statement",
    [
        (
            "INSERT INTO accounts_user_user_permissions (user_id, permission_id) "
            "SELECT %s, id FROM auth_permission WHERE codename = 'change_user'"
        ),
        "UPDATE auth_permission SET codename = 'view_more' WHERE codename = 'view_user' AND %s <> ''",
        "UPDATE accounts_user SET rights_digest = '' WHERE id = %s",
    ],
    ids=["granted", "renamed", "forgotten"],
)
def test_a_permission_that_was_written_by_hand_is_none(log_in: LogIn, make_user: MakeUser, statement: str) -> None:
    staff = make_user("staff@example.com")
    staff.is_staff = True
    staff.save()
    staff.user_permissions.add(Permission.objects.get(codename="view_user"))
    client = log_in(staff)
    assert sees_users(client)
    sql(statement, staff.pk)
    assert not sees_users(client)


@pytest.mark.finding("H16")
def test_rights_that_are_given_by_the_library_count(log_in: LogIn, make_user: MakeUser) -> None:
    staff = make_user("staff@example.com")
    staff.is_staff = True
    staff.save()
    group = Group.objects.create(name="readers")
    group.user_set.add(staff)
    group.permissions.add(Permission.objects.get(codename="view_user"))
    client = log_in(staff)
    assert sees_users(client)
    group.permissions.clear()
    assert not sees_users(client)
    sql(
        "INSERT INTO auth_group_permissions (group_id, permission_id) "
        "SELECT %s, id FROM auth_permission WHERE codename = 'view_user'",
        group.pk,
    )
    assert not sees_users(client)


@pytest.mark.finding("H16")
@pytest.mark.parametrize("table", ["account_emailaddress", "accounts_user"])
def test_an_address_that_was_written_by_hand_gets_no_reset(developer: User, table: str) -> None:
    create_user(email="mine@example.com", password=PASSWORD, confirmed=True, origin=ORIGIN)
    if table == "account_emailaddress":
        sql("DELETE FROM account_emailaddress WHERE user_id = %s", developer.pk)
        sql("UPDATE account_emailaddress SET user_id = %s WHERE email = 'mine@example.com'", developer.pk)
    else:
        sql("UPDATE accounts_user SET email = 'gone@example.com' WHERE email = 'mine@example.com'")
        sql("UPDATE accounts_user SET email = 'mine@example.com' WHERE id = %s", developer.pk)
    post(Client(), "/accounts/password/reset/", email="mine@example.com")
    sent = MailedLink.objects.get(purpose=links.RESET)
    if table == "account_emailaddress":
        assert sent.user != developer  # the table of a library is not asked
        return
    with pytest.raises(TamperedRowError):
        reset_password(link=sent, password="a phrase of my own", origin=ORIGIN)
    assert not can_log_in("mine@example.com", "a phrase of my own")


@pytest.mark.finding("H16")
@pytest.mark.parametrize(
    "change", ["user_id = '{other}'", "expires_at = '2100-01-01 00:00:00'", "purpose = 'unlock'", "digest = seal"]
)
def test_a_link_that_was_written_by_hand_opens_nothing(developer: User, make_user: MakeUser, change: str) -> None:
    text = links.issue(links.RESET, user=developer, email=developer.email)
    assert links.find(links.RESET, text) is not None
    sql(f"UPDATE accounts_mailedlink SET {change.format(other=make_user('other@example.com').pk)}")
    for purpose in (links.RESET, links.UNLOCK):
        assert links.find(purpose, text) is None
