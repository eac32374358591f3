"""axe finds nothing on any page of the portal, light and dark; no page is wider than a phone; nothing inline runs."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import PASSWORD, enter, faults_of
from tests.oauth_client import OAuthClient
from tests.portal import Portal
from tests.portal_user import PortalUser
from tests.waiting import wait_until

pytestmark = pytest.mark.once


@pytest.fixture
def audit_page(page: Page) -> Callable[[str], list[str]]:
    def audit(path: str) -> list[str]:
        page.goto(path)
        return faults_of(page)

    return audit


def test_pages_as_scripts_and_other_programs_leave_them(
    audit_page: Callable[[str], list[str]], page: Page, portal: Portal
) -> None:
    enter(page, portal, "axe@example.com")
    page.goto("/keys/new/")
    page.get_by_text("More options:").click()
    page.get_by_label("Name").fill("<b>" + "x" * 97)
    page.get_by_label("Allowed networks").fill("nonsense")
    page.get_by_role("button", name="Create key").click()
    faults = faults_of(page)
    OAuthClient(portal).log_in("axe@example.com", PASSWORD)
    faults += audit_page("/account/apps/")
    assert faults == []


def test_pages_that_messages_lead_to(audit_page: Callable[[str], list[str]], portal: Portal) -> None:
    stranger = PortalUser(portal, "axe-mail@example.com")
    stranger.post("/accounts/logout/")
    stranger.post("/accounts/password/reset/", email="axe-mail@example.com")
    stranger.post("/accounts/signup/", email="axe-new@example.com", password1=PASSWORD)
    sent = "".join(portal.messages()).replace("=\n", "")
    reset = re.findall(r"http\S+/accounts/password/reset/key/\S+", sent)[-1]
    paths = [link.removeprefix(portal.url) for link in (reset, portal.confirmation_link("axe-new@example.com"))]
    assert [fault for path in paths for fault in audit_page(path)] == []


def test_pages_of_a_key_in_use_and_of_what_went_wrong(
    audit_page: Callable[[str], list[str]], page: Page, portal: Portal
) -> None:
    enter(page, portal, "axe-used@example.com")
    key, secret = portal.make_key(
        "axe-used@example.com", "--expires", f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%d}"
    )
    for path in ("/api/v1/me", "/gateway/auth?scope=nobody:has"):
        portal.get(path, Authorization=f"Bearer {secret}")
    wait_until(lambda: page.goto("/keys/") and not page.get_by_text("No calls yet").is_visible())
    faults = audit_page(f"/keys/{key}/revoke/")
    page.get_by_label("Name of the key").fill("another")
    page.get_by_role("button", name="Revoke for good").click()
    page.locator("[aria-invalid=true]").wait_for()
    faults += faults_of(page)
    portal.shell(f"APIKey.objects.filter(pk='{key}').update(scopes='moved:by-hand')")
    faults += audit_page(f"/keys/{key}/")
    page.goto("/keys/new/")
    page.context.clear_cookies(name="csrftoken")
    page.get_by_label("Name").fill("x")
    page.get_by_role("button", name="Create key").click()
    page.get_by_role("heading", name="Your browser sent no cookie").wait_for()
    faults += faults_of(page)
    assert faults == []


def test_the_page_that_asks_for_the_second_factor(page: Page, portal: Portal) -> None:
    PortalUser(portal, "axe-mfa@example.com")
    portal.shell(
        "from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret; "
        "TOTP.activate(User.objects.get(email='axe-mfa@example.com'), generate_totp_secret())"
    )
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill("axe-mfa@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/2fa/authenticate/")
    assert faults_of(page) == []


@pytest.mark.security("B-03")
def test_an_injected_script_does_not_run(chromium: Browser, portal: Portal) -> None:
    page = chromium.new_page(base_url=portal.url)
    page.goto("/")
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "document.title = 'taken over'";
        document.body.append(script);
    }""")
    assert page.title() != "taken over"
    page.close()


@pytest.mark.security("B-12")
def test_a_page_asks_nobody_else(page: Page, portal: Portal) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/accounts/login/", wait_until="networkidle")
    assert asked
    assert all(url.startswith(portal.url) for url in asked)


def test_the_theme_is_switched_without_a_script_and_stays(plain_page: Page) -> None:
    plain_page.goto("/")
    plain_page.get_by_role("button", name="Dark").click()
    assert plain_page.locator("html").get_attribute("data-theme") == "dark"
    plain_page.goto("/accounts/login/")
    assert plain_page.locator("html").get_attribute("data-theme") == "dark"
