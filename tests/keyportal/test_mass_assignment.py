"""What a form or a body does not ask for is not taken: every column of every table is sent along, and none changes."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.db import models
from django.test import Client

from accounts.models import User
from apikeys.models import APIKey, KeySecret
from tests.apikeys.networks_editor import Editor
from tests.conftest import PASSWORD, MakeKey, MakeUser
from tests.oauth_client import basic
from tokens.models import RefreshToken, TokenFamily

pytestmark = [pytest.mark.django_db, pytest.mark.security("Z-03"), pytest.mark.finding("F")]
Row = dict[str, Any]
TABLES: tuple[type[models.Model], ...] = (User, EmailAddress, APIKey, KeySecret, TokenFamily, RefreshToken)
NEW_PASSWORD = "a quite different phrase"


@pytest.fixture
def thief(make_user: MakeUser) -> User:
    """Whose everything would become, if it could be chosen."""
    return make_user("thief@example.com")


def every_column(thief: User, *, but: set[str]) -> dict[str, str]:
    """Return a value that would help for each column of each table, but for what the form really asks for."""
    fields = [field for table in TABLES for field in table._meta.concrete_fields]
    names = {name: hostile(field, thief) for field in fields for name in (field.name, field.attname)}
    names |= {"groups": "1", "user_permissions": "1", "user": thief.pk, "is_staff": "on", "is_superuser": "on"}
    return {name: value for name, value in names.items() if name not in but}


def hostile(field: "models.Field[Any, Any]", thief: User) -> str:
    if isinstance(field, models.ForeignKey):
        return str(thief.pk)
    if isinstance(field, models.BooleanField):
        return "true"
    if isinstance(field, models.DateTimeField):
        return "2020-01-01T00:00:00Z"
    return "7" if isinstance(field, models.IntegerField) else "planted"


def row_of(row: models.Model, *, but: set[str]) -> Row:
    """Return the columns of a row that are not chosen anew each time."""
    values = {field.attname: field.value_from_object(row) for field in row._meta.concrete_fields}
    return {name: value for name, value in values.items() if name not in but}


OF_ITS_OWN = {"id", "seal", "created_at", "form_token", "digest", "ciphertext", "hint", "key_id"}


def new_key(browser: Client, **more: str) -> tuple[Row, Row]:
    page = browser.get("/keys/new/", secure=True).content.decode()
    token = re.search(r'name="form_token" value="(\w{43})"', page)
    assert token
    form = {"name": "billing", "environment": "test", "expiry": "never", "form_token": token[1]}
    assert browser.post("/keys/new/", {**more, **form}, secure=True).status_code == 200
    key = APIKey.objects.latest("created_at")
    return row_of(key, but=OF_ITS_OWN), row_of(key.secrets.get(), but=OF_ITS_OWN)


def test_a_new_key_is_its_maker_s_and_has_what_the_form_says(
    log_in: Callable[[User], Client], developer: User, thief: User
) -> None:
    browser = log_in(developer)
    asked = {"name", "environment", "scopes", "expiry", "expiry_date", "networks", "show_once", "form_token"}
    plain = new_key(browser)
    assert new_key(browser, **every_column(thief, but=asked)) == plain
    assert plain[0]["owner_id"] == developer.pk


def test_an_edit_changes_what_the_form_says(log_in: Callable[[User], Client], make_key: MakeKey, thief: User) -> None:
    key, _ = make_key()
    secret = key.secrets.get()
    before, before_of_secret = row_of(key, but={"name", "version", "seal"}), row_of(secret, but=set())
    asked = {"name", "scopes", "expiry", "expiry_date", "networks", "version"}
    form = {"name": "renamed", "expiry": "never", "version": "1", **every_column(thief, but=asked)}
    assert log_in(key.owner).post(f"/keys/{key.pk}/edit/", form, secure=True).status_code == 302
    key.refresh_from_db()
    assert (key.name, row_of(key, but={"name", "version", "seal"})) == ("renamed", before)
    assert row_of(KeySecret.objects.get(), but=set()) == before_of_secret
    assert key.seal_is_valid()


def test_the_networks_editor_changes_the_networks(
    log_in: Callable[[User], Client], make_key: MakeKey, thief: User
) -> None:
    key, _ = make_key()
    secret = key.secrets.get()
    before, before_of_secret = row_of(key, but={"networks", "version", "seal"}), row_of(secret, but=set())
    editor = Editor(log_in(key.owner), key)
    assert editor.press("Save", "203.0.113.7", **every_column(thief, but={"networks"})).status_code == 302
    key.refresh_from_db()
    assert (key.networks, row_of(key, but={"networks", "version", "seal"})) == ("203.0.113.7/32", before)
    assert row_of(KeySecret.objects.get(), but=set()) == before_of_secret
    assert key.seal_is_valid()


def sign_up_with(email: str, **more: str) -> tuple[Row, Row]:
    answer = Client().post("/accounts/signup/", {**more, "email": email, "password1": PASSWORD}, secure=True)
    assert answer.status_code == 302
    user = User.objects.get(email=email)
    assert not user.groups.exists()
    assert not user.user_permissions.exists()
    of_address = row_of(EmailAddress.objects.get(user=user), but={"id", "user_id", "email"})
    return row_of(user, but={"id", "email", "password", "joined_at", "last_login", "seal"}), of_address


def test_a_sign_up_makes_a_developer_who_is_not_confirmed(thief: User) -> None:
    plain = sign_up_with("plain@example.com")
    assert sign_up_with("greedy@example.com", **every_column(thief, but={"email", "password1"})) == plain
    assert (plain[0]["is_staff"], plain[0]["confirmed_at"], plain[1]["verified"]) == (False, None, False)


def test_a_change_of_the_password_changes_nothing_else(
    log_in: Callable[[User], Client], developer: User, thief: User
) -> None:
    expected = {"password", "auth_epoch", "last_login", "seal"}
    browser = log_in(developer)
    before = row_of(developer, but=expected)
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    answer = browser.post("/accounts/password/change/", {**every_column(thief, but=set()), **form}, secure=True)
    assert answer.status_code == 302
    developer.refresh_from_db()
    assert developer.check_password(NEW_PASSWORD)
    assert (row_of(developer, but=expected), developer.auth_epoch) == (before, 1)


def test_a_log_in_for_tokens_gives_what_is_the_account_s_own(client: Client, developer: User, thief: User) -> None:
    """Members that no form has are ignored or refused; either way nothing is issued by them."""
    body = json.dumps(every_column(thief, but={"scope", "scopes"}))
    headers = {"Authorization": basic(developer.email, PASSWORD)}
    answer = client.post("/api/v1/tokens", body, content_type="application/json", secure=True, headers=headers)
    assert answer.status_code in (200, 400)
    families = [(family.user_id, family.epoch, family.ended_reason) for family in TokenFamily.objects.all()]
    assert families in ([], [(developer.pk, 0, "")])
    assert not TokenFamily.objects.filter(user=thief).exists()
