"""The life of a key in Chromium, with and without scripts. axe finds nothing on the way."""

import json
import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import SECRET, enter, faults_of
from tests.portal import Portal

CARD = 130
"""The greatest height of a key in the list on a phone, in pixels."""


def works(portal: Portal, secret: str) -> bool:
    return portal.get("/api/v1/me", Authorization=f"Bearer {secret}").status == 200


def test_a_key_is_rotated_its_overlap_ended_and_it_is_paused_and_resumed(page: Page, portal: Portal) -> None:
    enter(page, portal, "life@example.com")
    key, former = portal.make_key("life@example.com", name="billing")
    faults = []
    page.goto(f"/keys/{key}/")
    page.get_by_role("link", name="Rotate…").click()
    faults += faults_of(page)
    page.get_by_text("7 days", exact=True).click()
    page.get_by_role("button", name="Rotate").click()
    page.get_by_role("heading", name="Key rotated").wait_for()
    found = SECRET.search(page.locator("#secret").input_value())
    assert found
    faults += faults_of(page)
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == found[0]
    assert works(portal, former)
    assert works(portal, found[0])
    page.get_by_role("link", name="Done, go to the key").click()
    faults += faults_of(page)
    page.get_by_role("link", name="End the overlap…").click()
    faults += faults_of(page)
    page.get_by_role("button", name="End the overlap now").click()
    page.get_by_text("Former secrets (1)").wait_for()
    assert not works(portal, former)
    page.get_by_label("Reason").fill("an incident")
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_text("an incident").first.wait_for()
    assert not works(portal, found[0])
    faults += faults_of(page)
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("is resumed").wait_for()
    assert works(portal, found[0])
    assert faults == []


def test_all_of_it_works_without_scripts(plain_page: Page, portal: Portal) -> None:
    page = plain_page
    enter(page, portal, "life-scriptless@example.com")
    key, former = portal.make_key("life-scriptless@example.com", name="plain")
    page.goto("/keys/")
    page.locator("summary").filter(has_text="⋯").click()
    page.get_by_role("link", name="Rotate…").click()
    page.get_by_text("None: it leaked").click()
    page.get_by_role("button", name="Rotate").click()
    secret = page.locator("#secret").input_value()
    assert works(portal, secret)
    assert not works(portal, former)
    page.goto("/keys/")
    page.get_by_role("checkbox", name="Select plain").check()
    page.get_by_role("button", name="Pause…").click()
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_text("1 key paused.").wait_for()
    page.goto(f"/keys/{key}/")
    page.get_by_role("button", name="Resume").click()
    assert works(portal, secret)
    page.goto("/keys/")
    page.get_by_role("checkbox", name="Select plain").check()
    page.get_by_role("button", name="Revoke…").click()
    page.get_by_label("Reason").fill("cleaning up")
    if page.get_by_label(re.compile("Type")).is_visible():
        page.get_by_label(re.compile("Type")).fill("revoke")
    page.get_by_role("button", name="Revoke for good").click()
    page.get_by_role("heading", name="All your keys are revoked").wait_for()
    page.get_by_role("link", name="Show 1 revoked key").click()
    page.get_by_text("cleaning up").wait_for()
    assert not works(portal, secret)


def test_several_keys_at_once_and_the_pages_around_them(page: Page, portal: Portal) -> None:
    enter(page, portal, "life-many@example.com")
    for name in ("<b>one</b>", "x" * 100, "a name that is as long as names of servers are, or longer"):
        portal.make_key("life-many@example.com", name=name)
    page.goto("/keys/")
    page.set_viewport_size({"width": 360, "height": 740})
    heights = page.locator(".keys tbody tr").evaluate_all("rows => rows.map(row => row.getBoundingClientRect().height)")
    assert len(heights) == 3
    assert max(heights) <= CARD
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_role("checkbox", name="Select all keys on this page").check()
    page.get_by_role("button", name="Pause…").click()
    page.get_by_role("heading", name="Pause 3 keys?").wait_for()
    faults = faults_of(page)
    page.goto(page.url.replace("/pause/", "/revoke/"))
    faults += faults_of(page)
    for path in ("/quickstart/", "/account/emails/", "/diagnose/", "/keys/?state=revoked"):
        page.goto(path)
        faults += faults_of(page)
    assert faults == []


def test_from_the_log_in_to_a_copied_secret_it_is_three_clicks(page: Page, portal: Portal) -> None:
    enter(page, portal, "life-clicks@example.com")
    page.get_by_role("link", name="Create your first key").click()  # one
    page.get_by_label("Name").fill("billing")
    page.get_by_role("button", name="Create key").click()  # two
    page.get_by_role("button", name="Copy", exact=True).click()  # three
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    secret = page.evaluate("navigator.clipboard.readText()")
    answer = portal.get("/api/v1/me", Authorization=f"Bearer {secret}")
    assert json.loads(answer.body)["name"] == "billing"
