"""The authentication backend: who may log in, by which name, and whose rights count."""

import logging
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth import authenticate
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.test import RequestFactory

from accounts.backends import SealedBackend, has_valid_seals
from accounts.models import User
from accounts.services import deactivate_user
from tests.conftest import ORIGIN, PASSWORD, MakeUser
from tests.tampering import sql

pytestmark = pytest.mark.django_db
SEEN = "accounts.view_user"
VIOLATION = "integrity_violation: the row seal of {} does not match"


def let_in(email: str, password: str = PASSWORD) -> Any:
    """Return the account that an address and a password let in, or None."""
    return authenticate(RequestFactory().post("/"), email=email, password=password)


@pytest.mark.parametrize("email", ["dev@example.com", "DEV@Example.COM", " dev@example.com "])
def test_an_account_logs_in_by_its_own_address_in_any_case(developer: User, email: str) -> None:
    assert let_in(email) == developer
    assert let_in(email, "wrong") is None


@pytest.mark.parametrize("name", ["", "nobody@example.com", "dev"])
def test_no_other_name_lets_anybody_in(developer: User, name: str) -> None:
    assert let_in(name) is None
    assert let_in(developer.pk) is None


def test_an_inactive_account_does_not_log_in(developer: User) -> None:
    deactivate_user(user=developer, origin=ORIGIN)
    assert let_in(developer.email) is None
    assert not SealedBackend().user_can_authenticate(User.objects.get())


def test_an_account_that_the_portal_did_not_write_does_not_log_in(
    developer: User, caplog: pytest.LogCaptureFixture
) -> None:
    assert SealedBackend().user_can_authenticate(developer)
    sql("UPDATE accounts_user SET is_superuser = NOT is_superuser")
    with caplog.at_level(logging.ERROR, "accounts.backends"):
        assert let_in(developer.email) is None
        assert not SealedBackend().user_can_authenticate(User.objects.get())
    assert set(caplog.messages) == {VIOLATION.format(developer.pk)}


def test_what_is_no_account_does_not_log_in() -> None:
    for nobody in (None, AnonymousUser()):
        assert not SealedBackend().user_can_authenticate(nobody)  # type: ignore[arg-type]  # as a session may have it


@pytest.fixture
def staff(make_user: MakeUser) -> User:
    """An operator without rights."""
    user = make_user("staff@example.com", operator=True)
    sql("UPDATE accounts_user SET is_superuser = %s WHERE id = %s", False, user.pk)
    user = User.objects.get(pk=user.pk)
    User.objects.filter(pk=user.pk).update(seal=user.make_seal())
    return User.objects.get(pk=user.pk)


def rights_of(user: User) -> set[str]:
    return User.objects.get(pk=user.pk).get_all_permissions()


def test_rights_are_those_of_the_account_and_of_its_groups(staff: User) -> None:
    assert rights_of(staff) == set()
    seen, changed = (Permission.objects.get(codename=name) for name in ("view_user", "change_user"))
    staff.user_permissions.add(seen)
    assert rights_of(staff) == {SEEN}
    group = Group.objects.create(name="support")
    group.permissions.add(changed)
    staff.groups.add(group)
    assert rights_of(staff) == {SEEN, "accounts.change_user"}


@pytest.mark.parametrize("whose", ["account", "group"])
def test_rights_that_were_added_in_the_database_do_not_count_nor_do_the_others(
    staff: User, developer: User, whose: str
) -> None:
    seen, changed = (Permission.objects.get(codename=name) for name in ("view_user", "change_user"))
    group = Group.objects.create(name="support")
    staff.groups.add(group)
    staff.user_permissions.add(seen)
    if whose == "account":
        sql("INSERT INTO accounts_user_user_permissions (user_id, permission_id) VALUES (%s, %s)", staff.pk, changed.pk)
    else:
        sql("INSERT INTO auth_group_permissions (group_id, permission_id) VALUES (%s, %s)", group.pk, changed.pk)
    assert rights_of(staff) == set()


def test_seals_are_valid_while_row_and_factors_are_as_they_were_written(developer: User) -> None:
    assert has_valid_seals(User.objects.get())
    TOTP.activate(developer, generate_totp_secret())
    assert has_valid_seals(User.objects.get())
    sql("DELETE FROM mfa_authenticator")
    assert not has_valid_seals(User.objects.get())


def test_seals_are_not_valid_after_the_row_was_changed(developer: User) -> None:
    sql("UPDATE accounts_user SET is_staff = NOT is_staff")
    assert not has_valid_seals(User.objects.get())
