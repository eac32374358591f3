"""What was typed into a form is there again after a log-in, however the session ended."""

import re
from html import unescape
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

from accounts.models import User
from apikeys.models import APIKey
from tests.accounts.authenticator_app import code_of
from tests.accounts.way_back import (
    LOG_IN,
    NEW_KEY,
    PASSKEY,
    SHOWN,
    Browser,
    a_passkey,
    age,
    assert_the_form_is_filled_in,
    browser,
    checked_values,
    desk,
    next_of,
    operators_key,
    sign_out_elsewhere,
    text_of,
)
from tests.conftest import PASSWORD, MakeKey

__all__ = ["browser", "desk", "operators_key"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H23")]


def test_what_was_typed_into_a_new_key_is_there_again_unsaved(browser: Browser) -> None:
    sign_out_elsewhere(browser.user)
    answer = browser.post("/keys/new/", NEW_KEY)
    assert "Zahlung" not in answer["Location"]
    log_in = text_of(browser.get(answer["Location"]))
    assert "You were signed out." in log_in
    assert "Zahlung" not in log_in
    page = browser.get(browser.log_in(at=answer["Location"]))
    assert page.status_code == 200
    assert_the_form_is_filled_in(page.content.decode())
    assert "What you typed is still here but has not been sent. Press “Create key” again" in text_of(page)
    assert not APIKey.objects.exists()
    assert "Zahlung" not in text_of(browser.get("/keys/new/"))  # once


def test_what_was_typed_into_an_edit_is_there_again_after_signing_in_and_after_confirming(
    browser: Browser, make_key: MakeKey
) -> None:
    key, _ = make_key(name="before", scopes=["reports:read"])
    path = f"/keys/{key.pk}/edit/"
    fields = {name: NEW_KEY[name] for name in ("name", "scopes", "expiry", "expiry_date")}
    for leave in (sign_out_elsewhere, lambda _: age(browser)):
        leave(browser.user)
        answer = browser.post(path, {**fields, "networks": "", "version": "1"})
        assert next_of(answer) == path
        if answer["Location"].startswith(LOG_IN):
            browser.log_in(at=answer["Location"])
        else:
            assert browser.post(answer["Location"], {"password": PASSWORD})["Location"] == path
        page = browser.get(path).content.decode()
        assert SHOWN[0] in page
        assert SHOWN[1] in page
        assert checked_values(page, "scopes") == ["reports:write"]  # the one that was unticked stays unticked
        assert APIKey.objects.get().name == "before"
    assert "You were asked to confirm it's you." in unescape(page)


def test_the_reason_of_a_revocation_and_its_confirmation_are_there_again(browser: Browser, make_key: MakeKey) -> None:
    key, _ = make_key()
    sign_out_elsewhere(browser.user)
    answer = browser.post(f"/keys/{key.pk}/revoke/", {"reason": "leaked in a log", "typed": "billing server"})
    page = text_of(browser.get(browser.log_in(at=answer["Location"])))
    assert 'value="leaked in a log"' in page
    assert "Press “Revoke for good” again" in page
    assert APIKey.objects.get().revoked_at is None


def test_what_was_typed_into_library_forms_is_there_again(browser: Browser, developer: User) -> None:
    sign_out_elsewhere(developer)
    answer = browser.post("/accounts/email/", {"email": "new@example.com"})
    assert 'value="new@example.com"' in text_of(browser.get(browser.log_in(at=answer["Location"])))
    sign_out_elsewhere(developer)
    answer = browser.post(f"/accounts/2fa/webauthn/keys/{PASSKEY}/edit/", {"name": "desk lamp"})
    browser.log_in(at=answer["Location"])
    with a_passkey(developer):
        assert 'value="desk lamp"' in text_of(browser.follow(browser.get(next_of(answer))))
    age(browser)
    answer = browser.post("/accounts/2fa/webauthn/add/", {"name": "phone", "credential": "{}"})
    assert answer.status_code == 302
    assert 'value="phone"' in text_of(browser.follow(answer))


def test_what_an_operator_typed_is_there_again(desk: Browser, operators_key: APIKey) -> None:
    scope = {"name": "invoices:read", "description": "Read <invoices>", "restricted": "on"}
    sign_out_elsewhere(desk.user)
    page = desk.get(desk.log_in(at=desk.post("/admin/credentials/scope/add/", scope)["Location"])).content.decode()
    assert 'value="invoices:read"' in page
    assert 'value="Read &lt;invoices&gt;"' in page
    assert re.search(r'name="restricted"[^>]* checked', page)
    assert "Press “Save” again" in page
    actions = (("limit_keys", "limit"), ("revoke_keys", "reason"), ("pause_keys", "reason"), ("pause_keys", "until"))
    for action, field in actions:
        sign_out_elsewhere(desk.user)
        fields = {"action": action, "_selected_action": operators_key.pk, "reason": "x", field: "7 per <day>"}
        answer = desk.post("/admin/apikeys/apikey/?q=billing", fields)
        page = desk.get(desk.log_in(at=answer["Location"])).content.decode()
        assert 'value="7 per &lt;day&gt;"' in page
        assert f'name="_selected_action" value="{operators_key.pk}"' in page
        assert "has not been sent. Press the button again" in page
    columns = APIKey.objects.values_list("revoked_at", "paused_at", "rate_limit", "scopes", "name")
    assert list(columns) == [(None, None, "", "", "billing server")]


def test_what_was_typed_when_a_limit_struck_is_there_again_for_somebody_who_is_logged_in(browser: Browser) -> None:
    typed = {"email": "typed@example.com"}
    answers = [browser.post("/accounts/email/", typed) for _ in range(6)]
    assert answers[-1].status_code == 429
    assert 'href="/accounts/email/">Back to the page' in text_of(answers[-1])
    page = text_of(browser.get("/accounts/email/"))
    assert "There were too many attempts. What you typed is still here" in page
    assert 'value="typed@example.com"' in page


def test_a_session_that_was_idle_for_too_long(browser: Browser, time_machine: Any) -> None:
    time_machine.move_to(1_800_000_000)
    browser.log_in()
    time_machine.move_to(1_800_000_000 + 31 * 60)
    answer = browser.post("/keys/new/", NEW_KEY)
    assert_the_form_is_filled_in(browser.get(browser.log_in(at=answer["Location"])).content.decode())


def test_a_session_at_its_absolute_end(browser: Browser, settings: Any) -> None:
    settings.KEYPORTAL_SESSION_LIFETIME = 0
    answer = browser.post("/keys/new/", NEW_KEY)
    settings.KEYPORTAL_SESSION_LIFETIME = 3600
    assert_the_form_is_filled_in(browser.get(browser.log_in(at=answer["Location"])).content.decode())


def test_a_log_out_in_another_tab(browser: Browser) -> None:
    browser.post("/accounts/logout/")
    answer = browser.post("/keys/new/", NEW_KEY)
    assert_the_form_is_filled_in(browser.get(browser.log_in(at=answer["Location"])).content.decode())


def test_a_log_in_with_a_second_factor_leads_back_too(browser: Browser, developer: User) -> None:
    secret = generate_totp_secret()
    TOTP.activate(developer, secret)
    sign_out_elsewhere(developer)
    answer = browser.post("/keys/new/", NEW_KEY)
    assert browser.log_in(at=answer["Location"]) == "/accounts/2fa/authenticate/"
    back = browser.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    assert back["Location"] == "/keys/new/"
    assert_the_form_is_filled_in(browser.get("/keys/new/").content.decode())


def test_a_second_factor_that_came_too_late_says_so(browser: Browser) -> None:
    browser.post("/accounts/logout/")
    answer = browser.post("/accounts/2fa/authenticate/", {"code": "123456"}, follow=True)
    assert "Your log-in took too long" in text_of(answer)
    assert answer.redirect_chain[-1][0].endswith(LOG_IN)
