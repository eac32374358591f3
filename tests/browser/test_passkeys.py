"""A passkey is added and logs in, with the browser's virtual authenticator."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import PASSWORD, faults_of
from tests.portal import Portal

pytestmark = pytest.mark.once


def test_a_passkey_is_added_and_logs_in(chromium: Browser, portal: Portal) -> None:
    portal.make_developer("passkey@example.com")
    # WebAuthn wants a name: an address of numbers is no relying party.
    context = chromium.new_context(base_url=f"http://localhost:{portal.port}", reduced_motion="reduce")
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {**options, "isUserVerified": True, "automaticPresenceSimulation": True}},
    )
    page.goto("/accounts/login/?next=/accounts/2fa/webauthn/add/")
    page.get_by_label("Email").fill("passkey@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Name").fill("my laptop")
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add", exact=True).click()
    page.wait_for_url("**/recovery-codes/**")
    faults = faults_of(page)
    for path in ("/accounts/2fa/", "/accounts/2fa/recovery-codes/generate/", "/accounts/2fa/webauthn/"):
        page.goto(path)
        faults += faults_of(page)
    expect(page.get_by_text("my laptop")).to_be_visible()
    for link in ("Rename", "Remove"):
        page.goto("/accounts/2fa/webauthn/")
        page.get_by_role("link", name=link).click()
        faults += faults_of(page)
    assert faults == []
    page.get_by_role("button", name="Log out").click()
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Log in with a passkey").click()
    page.wait_for_url("**/keys/")
    expect(page.get_by_role("heading", name="No keys yet")).to_be_visible()
    context.close()
