"""In a real browser: signed out meanwhile, a log-in that is no longer fresh, old tabs, and the pages of errors."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import PASSWORD, enter, faults_of, let_the_log_in_age
from tests.portal import Portal

pytestmark = [pytest.mark.once, pytest.mark.finding("H23")]
expect.set_options(timeout=30_000)  # milliseconds: machines are busy
ONCE_MORE = re.compile(r"Press “.+” again")


def sign_out_meanwhile(portal: Portal) -> None:
    """End every session on the server; no browser hears of it."""
    portal.shell("from django.contrib.sessions.models import Session; print(Session.objects.all().delete()[0])")


def log_in(page: Page, email: str) -> None:
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def type_a_new_key(page: Page) -> None:
    page.goto("/keys/new/")
    page.get_by_label("Name").fill("typed before")
    page.get_by_text("For testing").click()
    page.get_by_label("Expires").select_option("date")
    page.get_by_label("Date (UTC)").fill("2031-05-06")
    page.get_by_text("More options:").click()
    page.get_by_label("Allowed networks").fill("203.0.113.0/24")


def expect_the_new_key_again(page: Page) -> None:
    expect(page.get_by_text(ONCE_MORE)).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("typed before")
    expect(page.get_by_role("radio", name="Test")).to_be_checked()
    expect(page.get_by_label("Expires")).to_have_value("date")
    expect(page.get_by_label("Date (UTC)")).to_have_value("2031-05-06")
    expect(page.get_by_label("Allowed networks")).to_have_value("203.0.113.0/24")


def test_a_new_key_survives_being_signed_out(page: Page, portal: Portal) -> None:
    enter(page, portal, "back-new@example.com")
    type_a_new_key(page)
    sign_out_meanwhile(portal)
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_text("You were signed out. Log in")).to_be_visible()
    assert "typed" not in page.url
    assert faults_of(page) == []
    log_in(page, "back-new@example.com")
    expect_the_new_key_again(page)
    assert faults_of(page) == []
    page.reload()
    expect(page.get_by_label("Name")).to_have_value("")
    page.go_back()
    page.goto("/keys/")
    expect(page.get_by_role("heading", name="No keys yet")).to_be_visible()


def test_a_new_key_survives_being_signed_out_without_scripts(plain_page: Page, portal: Portal) -> None:
    page = plain_page
    enter(page, portal, "back-scriptless@example.com")
    type_a_new_key(page)
    sign_out_meanwhile(portal)
    page.get_by_role("button", name="Create key").click()
    log_in(page, "back-scriptless@example.com")
    expect_the_new_key_again(page)
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("heading", name="Key created")).to_be_visible()


def test_reveal_leads_back_to_its_button(page: Page, portal: Portal) -> None:
    enter(page, portal, "back-reveal@example.com")
    key, secret = portal.make_key("back-reveal@example.com")
    page.goto(f"/keys/{key}/")
    sign_out_meanwhile(portal)
    page.get_by_role("button", name="Reveal").click()
    log_in(page, "back-reveal@example.com")
    expect(page.get_by_text("Press “Reveal” again")).to_be_visible()
    assert faults_of(page) == []
    page.get_by_role("button", name="Reveal").click()
    expect(page.get_by_label("Secret of this key")).to_have_value(secret)


@pytest.mark.finding("H6")
def test_a_wider_edit_is_confirmed_and_pressed_once_more(page: Page, portal: Portal) -> None:
    enter(page, portal, "back-edit@example.com")
    key, _ = portal.make_key("back-edit@example.com", "--expires", "2040-01-01")
    page.goto(f"/keys/{key}/edit/")
    page.get_by_label("Expires").select_option("never")
    page.get_by_label("Name").fill("renamed")
    let_the_log_in_age(portal)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Confirm it's you")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("Press “Save” again")).to_be_visible()
    expect(page.get_by_label("Expires")).to_have_value("never")
    assert faults_of(page) == []
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Allows more: expiry")).to_be_visible()
    assert faults_of(page) == []
    [message] = [text for text in portal.messages() if "Key changed: renamed" in text]
    assert "Expires: never (before: 1 Jan 2040, 23:59 UTC)" in message


@pytest.mark.finding("H30")
def test_old_tabs_lead_on_or_back(page: Page, portal: Portal) -> None:
    enter(page, portal, "back-tabs@example.com")
    context: BrowserContext = page.context
    type_a_new_key(page)
    first, second = context.new_page(), context.new_page()
    first.goto("/keys/")
    first.get_by_role("button", name="Log out").click()
    first.goto("/accounts/login/")
    second.goto("/accounts/login/?next=/account/history/")
    log_in(first, "back-tabs@example.com")
    expect(first.get_by_role("heading", name="No keys yet")).to_be_visible()
    log_in(second, "back-tabs@example.com")
    expect(second.get_by_role("heading", name="Security history")).to_be_visible()
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("heading", name="This page is out of date")).to_be_visible()
    assert faults_of(page) == []
    page.get_by_role("link", name="Back to the page").click()
    expect_the_new_key_again(page)


def test_what_another_site_sends_is_refused_and_not_shown(page: Page, portal: Portal) -> None:
    enter(page, portal, "back-cross@example.com")
    other = page.context.new_page()
    other.set_content(f'<form method="post" action="{portal.url}/keys/new/"><input name="name" value="planted"></form>')
    other.evaluate("document.forms[0].submit()")
    expect(other.get_by_role("heading", name="This request didn't come from the portal")).to_be_visible()
    assert "planted" not in other.content()
    assert faults_of(other) == []
    page.goto("/keys/new/")
    expect(page.get_by_label("Name")).to_have_value("")


def test_pages_of_errors(page: Page, portal: Portal) -> None:
    faults = []
    for path in ("/nothing/", "/theme/", "/account/apps/end/", "/admin/"):
        page.goto(path)
        faults += faults_of(page)
    enter(page, portal, "back-errors@example.com")
    headings = {"/account/apps/end/": "This page can't be opened this way", "/admin/": "You can't open this page"}
    for path, heading in headings.items():
        page.goto(path)
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        faults += faults_of(page)
    page.goto("/account/apps/end/")
    page.get_by_role("link", name="Go to that page").click()
    expect(page.get_by_role("heading", name="Signed-in apps", exact=True)).to_be_visible()
    page.goto("/accounts/reauthenticate/")  # who came by the link of a message has given no password yet
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", name="No keys yet")).to_be_visible()
    for _ in range(6):
        page.goto("/accounts/email/")
        page.get_by_label("New e-mail address").fill("another@example.com")
        page.get_by_role("button", name="Send confirmation link").click()
    expect(page.get_by_role("heading", name="Too many attempts")).to_be_visible()
    faults += faults_of(page)
    page.get_by_role("link", name="Back to the page").click()
    expect(page.get_by_label("New e-mail address")).to_have_value("another@example.com")
    portal.forget_guesses()
    assert faults == []
