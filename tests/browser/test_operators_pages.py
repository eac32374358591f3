"""The operators' own pages, driven as an operator drives them: axe finds nothing, and a phone is wide enough."""

import re
from collections.abc import Iterator

import pytest
from django.contrib.admin.utils import quote
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DESK, PASSWORD, PHONE, faults_of
from tests.oauth_client import OAuthClient
from tests.portal import Portal

pytestmark = [pytest.mark.once, pytest.mark.finding("H24")]
FIND = "/admin/tokens/tokenfamily/find/"
POLICIES = "/admin/apikeys/keypolicy/"


class Desk:
    """An operator's browser; what its pages breach of the policy is a fault. axe breaches it itself where it looks."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        self.breaches: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda said: self.breaches.append(said.text) if "Security Policy" in said.text else None)

    def look(self) -> None:
        """Note what is wrong with the page as it stands."""
        self.faults += self.breaches
        self.faults += faults_of(self.page, widths=(DESK, PHONE))
        self.breaches.clear()

    def find(self, text: str) -> None:
        """Search for a credential."""
        self.page.goto(FIND)
        self.page.get_by_label("Credential, id or hint").fill(text)
        self.page.get_by_role("button", name="Find").click()

    def choose(self, key: str, action: str) -> None:
        """Choose an action for one key of the list."""
        self.page.goto(f"/admin/apikeys/apikey/?q={key}")
        self.page.locator("input[name=_selected_action]").check()
        self.page.locator("select[name=action]").select_option(action)
        self.page.get_by_role("button", name="Go").click()


@pytest.fixture
def desk(chromium: Browser, portal: Portal) -> Iterator[Desk]:
    """An operator who is logged in."""
    portal.make_developer("desk@example.com")
    portal.shell("u = User.objects.get(email='desk@example.com'); u.is_staff = u.is_superuser = True; u.save()")
    context = chromium.new_context(base_url=portal.url, reduced_motion="reduce")
    desk = Desk(context.new_page())
    desk.page.goto("/accounts/login/")
    desk.page.get_by_label("Email").fill("desk@example.com")
    desk.page.get_by_label("Password").fill(PASSWORD)
    desk.page.get_by_role("button", name="Log in", exact=True).click()
    desk.page.get_by_role("heading", name="No keys yet").wait_for()
    yield desk
    context.close()
    portal.shell("User.objects.filter(email='desk@example.com').delete()")
    assert desk.faults == []


def test_a_leaked_token_is_found_and_ended(desk: Desk, portal: Portal) -> None:
    portal.make_developer("leaky@example.com")
    oauth_client, page = OAuthClient(portal), desk.page
    pair = oauth_client.log_in("leaky@example.com")
    desk.find(f"curl -H 'Authorization: Bearer {pair['access_token']}' \\\n  https://api.example.com/")
    expect(page.get_by_text("Accepted")).to_be_visible()
    desk.look()
    assert pair["access_token"] not in page.content()
    page.get_by_label("Reason").fill("in a public log")
    page.get_by_role("button", name="End it for good").click()
    expect(page.get_by_text("The next call is refused.")).to_be_visible()
    assert oauth_client.wait_for_refusal(pair["access_token"]) == "revoked"
    desk.find(pair["refresh_token"])
    expect(page.get_by_text(re.compile("Ended on .*: in a public log"))).to_be_visible()
    desk.look()


def test_pages_of_the_search_and_of_confirmations(desk: Desk, portal: Portal) -> None:
    portal.make_developer("owner-of-keys@example.com")
    key, secret = portal.make_key("owner-of-keys@example.com", name="عنوان 👩‍💻 server")
    page = desk.page
    page.goto(FIND)
    desk.look()
    for text in (secret, secret[:-1], "hello"):
        desk.find(text)
        desk.look()
    for action, button, field in (
        ("pause_keys", "Pause", "Reason"),
        ("revoke_keys", "Revoke for good", "Reason"),
        ("limit_keys", "Set the limit", "Limit, such as"),
    ):
        desk.choose(key, action)
        desk.look()
        page.get_by_label(field).fill("a\u202eb")
        page.get_by_role("button", name=button).click()
        expect(page.locator(".errorlist")).to_be_visible()
        desk.look()
    portal.manage("pausekey", key, "--reason", "عنوان")
    desk.choose(key, "resume_keys")
    desk.look()
    of_key = f"/admin/apikeys/apikey/{quote(key)}"
    for path in ("/admin/", f"{of_key}/change/", f"{of_key}/history/"):
        page.goto(path)
        desk.look()


def test_pages_of_policies(desk: Desk) -> None:
    page = desk.page
    page.goto(POLICIES)
    desk.look()
    page.get_by_role("link", name="Test").click()
    page.wait_for_url("**/test/change/")
    desk.look()
    page.get_by_label("Allow keys that never expire").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Enter a default, because")).to_be_visible()
    desk.look()
    page.get_by_label("Default expiry in days").fill("30")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("2 key policies")).to_be_visible()  # the end of the page
    desk.look()
    page.goto(f"{POLICIES}test/history/")
    desk.look()
    page.goto(f"{POLICIES}test/change/")
    page.get_by_label("Allow keys that never expire").check()
    page.get_by_label("Default expiry in days").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The policy for test keys is saved.")).to_be_visible()
