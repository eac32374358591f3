"""An account is closed by its owner, and what was personal about it goes."""

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone

from accounts.models import User
from apikeys.models import APIKey, KeySecret
from audit.models import Event
from credentials.usage.models import AddressUsage, SourceAddress
from tests.accounts.log_in_form import browser_of, is_logged_in
from tests.accounts.mailbox import get, messages_to, post
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeKey, MakeUser
from tokens import services as tokens
from tokens.closing import close_account

pytestmark = pytest.mark.django_db
OLD = "dev@example.com"


@pytest.mark.finding("H32")
def test_an_account_is_closed_by_its_owner(owner: Client, developer: User, make_key: MakeKey) -> None:
    key, _ = make_key(name="payroll of Ada Lovelace")
    tokens.issue_to_user(user=developer, scopes=None, agent="Ada's laptop", origin=ORIGIN)
    page = get(owner, "/account/close/").content.decode()
    assert "1 key" in page
    assert post(owner, "/account/close/", typed="other@example.com").status_code == 400
    assert User.objects.get().is_active
    assert post(owner, "/account/close/", typed=" DEV@example.com").status_code == 302
    user = User.objects.get()
    assert user.email.endswith("@closed.invalid")
    assert (user.is_active, user.seal_is_valid(), user.has_usable_password()) == (False, True, False)
    key.refresh_from_db()
    assert key.revoked_at
    assert not KeySecret.objects.exclude(ciphertext=None).exists()
    assert not is_logged_in(owner)
    assert not is_logged_in(browser_of(OLD))
    left = str([*User.objects.values(), *APIKey.objects.values(), *EmailAddress.objects.values()])
    left += str(list(user.token_families.values()))
    assert "Ada" not in left
    assert OLD not in left
    assert "payroll of Ada Lovelace" in messages_to(OLD)[-1]  # that this key was revoked
    assert Event.objects.filter(verb="account_closed", subject_id=user.pk).count() == 1
    post(Client(), "/accounts/signup/", email=OLD, password1=PASSWORD)
    assert User.objects.filter(email=OLD).exists()


@pytest.mark.finding("H32")
def test_closing_asks_for_a_fresh_log_in_and_leaves_an_operator(
    log_in: LogIn, developer: User, operator: User, make_user: MakeUser
) -> None:
    stale = log_in(developer, ago=301)
    assert post(stale, "/account/close/", typed=OLD).status_code == 302
    assert User.objects.get(pk=developer.pk).is_active
    alone = log_in(operator)
    assert post(alone, "/account/close/", typed=operator.email).status_code == 400
    assert User.objects.get(pk=operator.pk).is_superuser
    make_user("second@example.com", operator=True)
    assert post(alone, "/account/close/", typed=operator.email).status_code == 302


def test_what_was_seen_of_a_closed_account_goes(developer: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    now = timezone.now()
    SourceAddress.objects.create(credential=key.pk, secret="", address="203.0.113.7", first_at=now, last_at=now)
    for credential in (key.pk, developer.pk):
        AddressUsage.objects.create(credential=credential, day=now.date(), address="203.0.113.7", count=1)
    assert close_account(user=developer, origin=ORIGIN)
    assert not close_account(user=developer, origin=ORIGIN)
    assert not SourceAddress.objects.exists()
    assert not AddressUsage.objects.exists()
