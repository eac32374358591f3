"""Chromium, with and without scripts, and the portal in front of it."""

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.portal import Portal
from tests.waiting import DEADLINE

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK, PHONE = 1440, 360
"""The widths at which pages are looked at."""
PASSWORD = "correct horse battery staple"
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
VIOLATIONS = ".violations.map(v => v.id + ' ' + v.nodes[0].html)"
SECRET = re.compile(r"kp_(?:live|test)_[0-9A-Za-z]{49}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives Chromium; all but the main walk in one of the two passes only."""
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.browser)
            if item.path.stem != "test_the_main_walk":
                item.add_marker(pytest.mark.once)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A started Chromium of the machine's own, without the parts that draw a window: it takes a third less time."""
    expect.set_options(timeout=1000 * DEADLINE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium-headless-shell", args=FLAGS)
        yield browser
        browser.close()


def new_context(chromium: Browser, portal: Portal, **options: Any) -> BrowserContext:
    """Return a fresh profile at the portal, which has as long as everything else may take."""
    context = chromium.new_context(base_url=portal.url, **options)
    context.set_default_timeout(1000 * DEADLINE)
    return context


@pytest.fixture
def page(chromium: Browser, portal: Portal) -> Iterator[Page]:
    """A page of a fresh profile that may use the clipboard. A script error or a breach of the CSP fails the test."""
    context = new_context(chromium, portal, reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=portal.url)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    context.close()
    assert faults == []


@pytest.fixture
def plain_page(chromium: Browser, portal: Portal) -> Iterator[Page]:
    """A page without scripts."""
    context = new_context(chromium, portal, java_script_enabled=False)
    yield context.new_page()
    context.close()


def sign_up(page: Page, portal: Portal, email: str) -> None:
    """Walk from the front page to an empty list of keys, by way of the outbox that the page names."""
    page.goto("/")
    page.get_by_role("main").get_by_role("link", name="Sign up").click()
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign up").click()
    assert portal.messages()  # they have been sent
    page.get_by_role("main").get_by_role("link", name="outbox").click()
    page.get_by_role("listitem").filter(has_text=email).get_by_role("link").click()
    page.get_by_role("link", name="Open the link").click()
    page.get_by_role("button", name="Yes, confirm").click()
    page.get_by_role("heading", name="No keys yet").wait_for()


def enter(page: Page, portal: Portal, email: str) -> None:
    """Log in as a developer who has no keys yet."""
    portal.make_developer(email)
    portal.forget_guesses()
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("heading", name="No keys yet").wait_for()


def let_the_log_in_age(portal: Portal) -> None:
    """Let every log-in in a browser be one of long ago, so that the portal asks for another one where it matters."""
    portal.shell(
        "from django.contrib.sessions.models import Session; from accounts.sessions import SessionStore\n"
        "for row in Session.objects.all():\n"
        "    store = SessionStore(row.session_key)\n"
        "    if 'account_authentication_methods' in store.load():\n"
        "        store['account_authentication_methods'] = [{'method': 'password', 'at': 1.0}]\n"
        "        store.save()\n"
        "print(1)"
    )


def faults_of(page: Page, *, widths: Sequence[int] = (PHONE,)) -> list[str]:
    """Run axe in the page as it stands, light and dark, and look for sideways scrolling on a phone and a desk.

    At the width of a phone, unless others are asked for: what a test leads a page to changes its texts, not its layout.
    `test_every_page.py` looks at every page in both.
    """
    before = page.viewport_size
    page.emulate_media(color_scheme="light")
    page.evaluate(AXE)
    found: list[str] = []
    for width in (DESK, PHONE):
        page.set_viewport_size({"width": width, "height": 900})
        if width in widths:
            found += page.evaluate(f"async () => (await axe.run({{resultTypes: ['violations']}})){VIOLATIONS}")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"wider than {width} pixels")
    page.emulate_media(color_scheme="dark")  # the same elements in other colours
    found += page.evaluate(f"async () => (await axe.run({{runOnly: ['color-contrast']}})){VIOLATIONS}")
    page.set_viewport_size(before or {"width": 1280, "height": 800})
    return [f"{page.url}: {fault}" for fault in found]
