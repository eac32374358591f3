"""The API reference in Chromium: a call is sent from the page, and Swagger UI works under the portal's policy."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, enter, faults_of, let_the_log_in_age
from tests.portal import Portal


def test_a_call_is_sent_from_the_reference_without_pasting_a_secret(page: Page, portal: Portal) -> None:
    page.goto("/docs/")
    assert faults_of(page) == []
    enter(page, portal, "reference@example.com")
    page.goto("/docs/")
    section = page.locator("#create_key")
    section.get_by_text("Try it").click()
    section.get_by_role("textbox", name="Body").fill('{"name": "made from the reference"}')
    section.get_by_role("button", name="Send").click()
    expect(section.locator("[data-answer]")).to_contain_text("201")
    expect(section.locator("[data-answer]")).to_contain_text('"environment": "test"')
    assert faults_of(page) == []
    assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
    page.goto("/keys/")
    page.get_by_role("link", name="made from the reference").wait_for()


def test_a_log_in_of_long_ago_is_asked_for_in_another_tab_and_what_was_filled_in_stays(
    page: Page, portal: Portal
) -> None:
    enter(page, portal, "reference-stale@example.com")
    let_the_log_in_age(portal)
    page.goto("/docs/explorer/")
    page.get_by_role("link", name="Confirm that it’s you").wait_for()
    page.goto("/docs/")
    section = page.locator("#list_keys")
    section.get_by_text("Try it").click()
    section.get_by_role("textbox", name="limit").fill("7")
    section.get_by_role("button", name="Send").click()
    with page.expect_popup() as opened:
        section.get_by_role("link", name="confirm it's you").click()
    opened.value.get_by_label("Password").fill(PASSWORD)
    opened.value.get_by_role("button", name="Confirm").click()
    expect(opened.value.get_by_role("heading", name="API reference", exact=True)).to_be_visible()
    section.get_by_role("button", name="Send").click()
    expect(section.locator("[data-answer]")).to_contain_text("200")
    expect(section.get_by_role("textbox", name="limit")).to_have_value("7")


def test_swagger_ui_works_under_the_policy_of_the_portal(page: Page, portal: Portal) -> None:
    enter(page, portal, "explorer@example.com")
    page.goto("/docs/explorer/")
    page.locator("#operations-Keys-list_keys button").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response-col_status").nth(1)).to_contain_text("200")
