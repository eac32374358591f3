"""What is written into django-allauth's table of addresses decides nothing: no recipient, no log-in, no right."""

import pytest
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail
from django.test import Client, RequestFactory, TestCase

from accounts.factor_forms import ActivateTOTPForm
from accounts.models import User
from accounts.passkey_forms import AddPasskeyForm
from accounts.services import confirm_user, unconfirm_user
from tests.accounts.mailbox import get, link_to, messages_to, post
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeUser

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H16")]
EMAIL, SPY, NEW_PASSWORD = "dev@example.com", "spy@example.com", "a quite different phrase"
MESSAGES = [
    *(f"account/email/{name}" for name in ("password_changed", "password_reset", "password_set", "email_changed")),
    *(f"account/email/{name}" for name in ("email_deleted", "email_confirm")),
    *(f"mfa/email/{name}" for name in ("recovery_codes_generated", "totp_activated", "totp_deactivated")),
    *(f"mfa/email/{name}" for name in ("webauthn_added", "webauthn_removed")),
]
"""All that allauth sends of itself."""


@pytest.fixture(autouse=True)
def spy(developer: User) -> None:
    """Turn the developer's row to an address of an attacker's."""
    assert EmailAddress.objects.filter(user=developer).update(email=SPY, verified=True, primary=True) == 1


@pytest.mark.parametrize("given", [None, SPY])
@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_goes_to_the_sealed_address(developer: User, message: str, given: str | None) -> None:
    request = RequestFactory().get("/", secure=True)
    with context.request_context(request), TestCase.captureOnCommitCallbacks(execute=True):
        adapter = get_mfa_adapter() if message.startswith("mfa/") else get_adapter()
        adapter.send_notification_mail(message, developer, email=given)
    assert [message.to for message in mail.outbox] == [[EMAIL]]


def test_a_change_of_password_and_of_factors_is_told_to_the_owner(developer: User, log_in: LogIn) -> None:
    owner = log_in(developer)
    post(owner, "/accounts/reauthenticate/", password=PASSWORD)
    TOTP.activate(developer, generate_totp_secret())
    post(owner, "/accounts/2fa/recovery-codes/generate/")
    post(owner, "/accounts/2fa/totp/deactivate/")
    fields = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert post(owner, "/accounts/password/change/", **fields).status_code == 302
    assert len(messages_to(EMAIL)) == 3
    assert not messages_to(SPY)


def test_a_log_in_with_a_new_browser_is_told_to_the_owner(developer: User) -> None:
    for _ in range(2):
        post(Client(), "/accounts/login/", login=EMAIL, password=PASSWORD)
    assert (len(messages_to(EMAIL)), messages_to(SPY)) == (1, [])


def test_links_and_log_ins_are_for_the_sealed_address(developer: User) -> None:
    for path in ("/accounts/password/reset/", "/accounts/login/unlock/"):
        for email in (EMAIL, SPY):
            post(Client(), path, email=email)
    assert all("no account uses it" in text for text in messages_to(SPY))
    browser = Client()
    post(
        browser, get(browser, link_to(EMAIL, "/reset/key/"))["Location"], password1=NEW_PASSWORD, password2=NEW_PASSWORD
    )
    assert "password" in messages_to(EMAIL)[-1]
    assert len(messages_to(SPY)) == 2
    for email, enters in ((SPY, False), (EMAIL, True)):
        browser = Client()
        post(browser, "/accounts/login/", login=email, password=NEW_PASSWORD)
        assert (get(browser, "/keys/").status_code == 200) is enters


def test_a_row_in_the_way_keeps_nobody_from_confirming(make_user: MakeUser) -> None:
    spy = User.objects.get()
    post(Client(), "/accounts/signup/", email="new@example.com", password1=PASSWORD)
    EmailAddress.objects.filter(user=spy).update(email="new@example.com", verified=True)
    assert post(Client(), link_to("new@example.com", "/confirm-email/")).status_code == 302
    assert User.objects.get(email="new@example.com").is_confirmed
    EmailAddress.objects.filter(email="new@example.com").delete()
    EmailAddress.objects.create(user=spy, email="more@example.com", verified=True)
    later = make_user("more@example.com", confirmed=False)
    EmailAddress.objects.create(user=spy, email="more@example.com", verified=True)
    assert confirm_user(user=later, origin=ORIGIN)


@pytest.mark.parametrize("path", ["totp/activate/", "webauthn/add/"])
def test_a_row_keeps_nobody_from_a_second_factor(developer: User, log_in: LogIn, path: str) -> None:
    EmailAddress.objects.filter(user=developer).update(verified=False)
    owner = log_in(developer)
    post(owner, "/accounts/reauthenticate/", password=PASSWORD)
    assert get(owner, f"/accounts/2fa/{path}").status_code == 200


@pytest.mark.parametrize("form", [ActivateTOTPForm, AddPasskeyForm])
def test_no_row_gives_a_second_factor_to_an_account_that_is_not_confirmed(
    developer: User, form: type[ActivateTOTPForm]
) -> None:
    unconfirm_user(user=developer, origin=ORIGIN)
    EmailAddress.objects.filter(user=developer).update(verified=True)
    request = RequestFactory().get("/", secure=True)
    request.session = {}  # type: ignore[assignment]  # nothing is looked for in it
    with context.request_context(request):
        filled = form(data={}, user=User.objects.get(pk=developer.pk))
        assert "Confirm your e-mail address first." in filled.errors["__all__"]
    assert not Authenticator.objects.exists()
