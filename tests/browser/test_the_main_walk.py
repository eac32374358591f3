"""Sign up, confirm, create, copy, call, reveal, revoke, call: with scripts and without."""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, SECRET, sign_up
from tests.portal import Portal
from tests.waiting import wait_until

pytestmark = pytest.mark.once


def call(portal: Portal, secret: str) -> tuple[int, str]:
    answer = portal.get("/api/v1/me", Authorization=f"Bearer {secret}")
    body = json.loads(answer.body)
    return answer.status, body.get("code", "")


def confirm_password(page: Page) -> None:
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def revoke(page: Page, name: str) -> None:
    """Revoke a key that was used a moment ago, once its page knows of that."""
    wait_until(lambda: page.reload() and not page.get_by_text("No calls yet").is_visible())
    page.get_by_role("link", name="Revoke…").click()
    expect(page.get_by_text("This key is in use")).to_be_visible()
    expect(page.get_by_role("link", name="Cancel")).to_be_focused()
    page.get_by_label("Name of the key").fill(name)
    page.get_by_role("button", name="Revoke for good").click()
    expect(page.get_by_text("refused from now on")).to_be_visible()


@pytest.mark.security("S-11")
def test_the_whole_walk_with_scripts(page: Page, portal: Portal) -> None:
    sign_up(page, portal, "walker@example.com")
    page.get_by_role("link", name="Create your first key").click()
    page.get_by_label("Name").fill("billing server")
    page.get_by_role("button", name="Create key").dblclick()

    copy = page.locator("[data-copy=secret]")
    expect(copy).to_be_focused()
    page.wait_for_load_state()
    copy.click()
    expect(copy).to_have_text("Copied")
    expect(page.locator("[data-announce]")).to_have_text("Copied to the clipboard")
    secret = page.evaluate("navigator.clipboard.readText()")
    assert SECRET.fullmatch(secret)
    waiting = page.locator("[data-first-call]")
    expect(waiting).to_have_text("Waiting for the first call…")
    assert call(portal, secret) == (200, "")
    expect(waiting).to_have_text("The first call has arrived. This key works.")
    page.get_by_role("button", name="Copy the curl call").click()
    call_of_curl = wait_until(lambda: page.evaluate("navigator.clipboard.readText()").removeprefix(secret))
    assert call_of_curl.startswith("curl ")
    assert secret in call_of_curl
    assert page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, history.state])") == "[{},{},null]"

    page.reload()
    expect(page.get_by_role("heading", name="billing server")).to_be_visible()
    assert not SECRET.search(page.content())

    page.get_by_role("button", name="Reveal").click()
    confirm_password(page)
    page.get_by_role("button", name="Reveal").click()
    expect(page.get_by_label("Secret of this key")).to_have_value(secret)

    page.get_by_role("link", name="Done, go to the key").click()
    revoke(page, "billing server")
    assert call(portal, secret) == (401, "revoked")
    page.goto("/keys/?state=revoked")
    assert page.get_by_role("row").count() == 2  # the head and one key: the double click made one


def test_the_whole_walk_without_scripts(plain_page: Page, portal: Portal) -> None:
    page = plain_page
    sign_up(page, portal, "plain@example.com")
    page.get_by_role("link", name="Create your first key").click()
    page.get_by_label("Name").fill("plain server")
    page.get_by_role("button", name="Create key").click()
    field = page.get_by_label("Secret of this key")
    secret = field.input_value()
    assert SECRET.fullmatch(secret)
    assert page.locator("[data-needs-script]:visible").count() == 0
    assert call(portal, secret) == (200, "")
    page.get_by_text("Python", exact=True).click()
    expect(page.locator("#code-python")).to_be_visible()
    page.get_by_role("link", name="Done, go to the key").click()
    page.get_by_role("button", name="Reveal").click()
    confirm_password(page)
    page.get_by_role("button", name="Reveal").click()
    expect(page.get_by_label("Secret of this key")).to_have_value(secret)
    page.get_by_role("link", name="Done, go to the key").click()
    revoke(page, "plain server")
    assert call(portal, secret) == (401, "revoked")


def test_a_key_can_be_made_by_keyboard_alone(page: Page, portal: Portal) -> None:
    sign_up(page, portal, "keyboard@example.com")
    page.goto("/keys/new/")
    page.get_by_label("Name").focus()
    page.keyboard.type("typed")
    page.keyboard.press("Enter")
    expect(page.locator("[data-copy=secret]")).to_be_focused()
    page.wait_for_load_state()  # modules run after the page has been read
    page.keyboard.press("Enter")
    expect(page.locator("[data-copy=secret]")).to_have_text("Copied")
    secret = page.get_by_label("Secret of this key").input_value()
    assert SECRET.fullmatch(secret)
    assert page.evaluate("navigator.clipboard.readText()") == secret


@pytest.mark.security("S-09")
def test_a_revealed_secret_leaves_the_page_by_itself(page: Page, portal: Portal) -> None:
    page.clock.install()
    sign_up(page, portal, "vanish@example.com")
    page.goto("/keys/new/")
    page.get_by_label("Name").fill("vanishing")
    page.get_by_role("button", name="Create key").click()
    page.get_by_role("link", name="Done, go to the key").click()
    page.get_by_role("button", name="Copy without showing").click()
    confirm_password(page)
    page.get_by_role("button", name="Copy without showing").click()
    expect(page.get_by_label("Secret of this key")).to_have_value(SECRET)
    expect(page.locator("[data-secret][data-shown]")).to_have_count(0)
    page.clock.run_for(31_000)
    expect(page.get_by_text("no longer on this page")).to_be_visible()
    assert not SECRET.search(page.content())
    assert page.get_by_label("Secret of this key").input_value() == ""


def test_a_secret_that_is_shown_once_is_guarded_until_it_is_copied(page: Page, portal: Portal) -> None:
    sign_up(page, portal, "once@example.com")
    page.goto("/keys/new/")
    page.get_by_label("Name").fill("once")
    page.get_by_text("More options:").click()
    page.get_by_label("Show the secret only once").check()
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_text("the only time the secret is shown")).to_be_visible()
    page.wait_for_load_state()
    page.get_by_label("Secret of this key").focus()
    page.keyboard.press("Control+A")
    page.evaluate("navigator.clipboard.writeText('')")  # all pages of a browser have one, and what others left in it
    page.keyboard.press("Control+C")
    copied = wait_until(lambda: page.evaluate("navigator.clipboard.readText()"))  # it arrives a moment later
    assert SECRET.fullmatch(copied)  # masked on the page, not in the copy
    page.reload()
    page.goto("/keys/new/")
    page.get_by_label("Name").fill("once more")
    page.get_by_text("More options:").click()
    page.get_by_label("Show the secret only once").check()
    page.get_by_role("button", name="Create key").click()
    page.wait_for_load_state()
    asked: list[str] = []

    def stay(dialog: object) -> None:
        asked.append(getattr(dialog, "type", ""))
        getattr(dialog, "accept")()  # noqa: B009  # playwright's Dialog

    page.on("dialog", stay)
    page.locator("[data-show]").click()
    page.goto("/keys/")
    assert asked == ["beforeunload"]


@pytest.mark.security("S-13")
def test_copying_works_on_plain_http_and_leaves_nothing_behind(chromium: object, portal: Portal) -> None:
    """On an address that is neither https nor loopback the browser has no Clipboard API."""
    context = chromium.new_context(base_url=f"http://localhost:{portal.port}")  # type: ignore[attr-defined]
    page: Page = context.new_page()
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    sign_up_on_localhost(page, portal)
    secret = page.get_by_label("Secret of this key").input_value()
    page.locator("[data-copy=secret]").click()
    expect(page.locator("[data-copy=secret]")).to_have_text("Copied")
    expect(page.locator("[data-secret][data-shown]")).to_have_count(0)
    page.goto("/keys/")
    page.get_by_role("searchbox").focus()
    page.keyboard.press("Control+V")
    assert page.get_by_role("searchbox").input_value() == secret
    context.close()


def sign_up_on_localhost(page: Page, portal: Portal) -> None:
    portal.make_developer("http@example.com")
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill("http@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("link", name="Create your first key").click()
    page.get_by_label("Name").fill("plain http")
    page.get_by_role("button", name="Create key").click()
