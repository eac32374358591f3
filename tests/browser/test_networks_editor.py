"""The editor of a key's networks in Chromium, with scripts and without, over calls that were really made."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter, faults_of
from tests.portal import Portal
from tests.waiting import wait_until

pytestmark = pytest.mark.once


def used_key(portal: Portal, email: str) -> tuple[str, str]:
    """Make a key, and use it from this machine."""
    key, secret = portal.make_key(email)
    assert call(portal, secret) == 200
    return key, secret


def call(portal: Portal, secret: str) -> int:
    return portal.get("/gateway/auth", Authorization=f"Bearer {secret}").status


def open_editor(page: Page, key: str) -> None:
    """Open the editor by its link on the key's page, once the call was written."""
    wait_until(lambda: page.goto(f"/keys/{key}/networks/") and page.get_by_text("100% of the calls").is_visible())
    page.goto(f"/keys/{key}/")
    page.get_by_role("link", name="Check and change them").click()
    expect(page.get_by_role("heading", name="Allowed networks")).to_be_visible()


def test_a_list_is_checked_confirmed_and_saved(page: Page, portal: Portal) -> None:
    enter(page, portal, "networks@example.com")
    key, secret = used_key(portal, "networks@example.com")
    open_editor(page, key)
    faults = faults_of(page)
    page.get_by_label("Allowed networks").fill("203.0.113.9/24 # office\nnowhere")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_text("Line 2: This isn't an address or a network.")).to_be_visible()
    faults += faults_of(page)
    page.get_by_label("Allowed networks").fill("203.0.113.0/24 # office")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("Not saved yet.")
    expect(page.get_by_label("Allowed networks")).to_have_value("203.0.113.0/24 # office")
    faults += faults_of(page)
    assert call(portal, secret) == 200
    page.get_by_role("button", name="Save anyway").click()
    expect(page.get_by_text("Saved. The change applies from the next request on.")).to_be_visible()
    faults += faults_of(page)
    assert call(portal, secret) == 403
    assert faults == []


def test_where_calls_came_from_is_added_without_scripts(plain_page: Page, portal: Portal) -> None:
    page = plain_page
    enter(page, portal, "networks-scriptless@example.com")
    key, secret = used_key(portal, "networks-scriptless@example.com")
    open_editor(page, key)
    page.get_by_label("Allowed networks").fill("203.0.113.0/24 # office")
    page.get_by_role("button", name="Add 127.0.0.1").click()
    expect(page.get_by_label("Allowed networks")).to_have_value("203.0.113.0/24 # office\n127.0.0.1")
    page.get_by_text("Checked against 1 call of the last 30 days: none would have been refused.").wait_for()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. The change applies from the next request on.")).to_be_visible()
    assert call(portal, secret) == 200


def test_ones_own_address_is_added_beside_a_comment(page: Page, portal: Portal) -> None:
    enter(page, portal, "networks-own@example.com")
    page.goto("/keys/new/")
    page.get_by_text("More options:").click()
    field, button = page.get_by_label("Allowed networks"), page.get_by_role("button", name="Use my address")
    field.fill("203.0.113.0/24 # not 127.0.0.1\n")
    for _ in range(2):
        button.click()
        expect(field).to_have_value("203.0.113.0/24 # not 127.0.0.1\n127.0.0.1")
