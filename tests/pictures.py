"""`make screenshots`: every page in every state, into var/screenshots: wide and narrow, light and dark.

Nothing here asserts; someone looks. The portal is one of its own, with sample keys in every state.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright

from tests.portal import ROOT, Portal
from tests.portal_user import PASSWORD

FOLDER: Final = ROOT / "var/screenshots"
SIZES: Final = {"wide": (1440, 900), "narrow": (360, 740)}
DEVELOPER, NEWCOMER, OPERATOR = "developer@example.com", "newcomer@example.com", "operator@example.com"
Step = Callable[[Page], object]


def go(path: str) -> Step:
    """Return the step that opens an address."""
    return lambda page: page.goto(path)


def key(name: str, *links: str) -> Step:
    """Return the step that opens the page of a key, and then follows links or buttons by their beginning."""

    def step(page: Page) -> None:
        page.goto("/keys/")
        page.locator("a.key-name").filter(has_text=name).first.click()
        for link in links:
            page.locator("a, button, summary").filter(has_text=re.compile(rf"^\s*{re.escape(link)}")).first.click()
            page.wait_for_load_state()

    return step


def send(path: str, button: str, **fields: str) -> Step:
    """Return the step that fills a form in and presses a button."""

    def step(page: Page) -> None:
        page.goto(path)
        for name, value in fields.items():
            page.locator(f"[name={name}]").first.fill(value)
        page.get_by_role("main").get_by_role("button", name=button).first.click()
        page.wait_for_load_state()

    return step


STRANGER: Final[dict[str, Step]] = {
    "home": go("/"),
    "sign-up": go("/accounts/signup/"),
    "log-in": go("/accounts/login/"),
    "log-in-error": send("/accounts/login/", "Log in", login="nobody@example.com", password="wrong"),
    "reset": go("/accounts/password/reset/"),
    "quickstart-stranger": go("/quickstart/"),
    "diagnose": go("/diagnose/"),
    "reference": go("/docs/"),
    "error-code": go("/docs/errors/retired/"),
    "not-found": go("/nothing/"),
    "styleguide": go("/styleguide/"),
    "outbox": go("/outbox/"),
}
WITHOUT_KEYS: Final[dict[str, Step]] = {"keys-empty": go("/keys/"), "quickstart-empty": go("/quickstart/")}
WITH_KEYS: Final[dict[str, Step]] = {
    "keys": go("/keys/"),
    "keys-none-found": go("/keys/?q=nothing"),
    "keys-revoked": go("/keys/?state=revoked"),
    "key": key("partner"),
    "key-rotating": key("billing server"),
    "key-paused": key("nightly export"),
    "key-unused": key("old prototype"),
    "key-by-hour": go("/keys/"),
    "key-edit": key("billing server", "Edit"),
    "key-networks": key("CI", "Check and change"),
    "key-rotate": key("partner", "Rotate"),
    "key-rotate-running": key("billing server", "Rotate"),
    "key-end-overlap": key("billing server", "End the overlap"),
    "key-pause": key("partner", "Pause for a while"),
    "key-revoke": key("billing server", "Revoke"),
    "key-new": go("/keys/new/"),
    "key-new-error": send("/keys/new/", "Create key", name="\u202e"),
    "key-created": send("/keys/new/", "Create key", name="made for a picture"),
    "key-revealed": key("partner", "Reveal"),
    "quickstart": go("/quickstart/"),
    "reference-logged-in": go("/docs/"),
    "explorer": go("/docs/explorer/"),
    "account": go("/account/"),
    "emails": go("/account/emails/"),
    "history": go("/account/history/"),
    "apps": go("/account/apps/"),
    "sessions": go("/accounts/sessions/"),
    "second-factor": go("/accounts/2fa/"),
    "passkeys": go("/accounts/2fa/webauthn/"),
    "close": go("/account/close/"),
}
OPERATORS: Final[dict[str, Step]] = {
    "admin": go("/admin/"),
    "admin-keys": go("/admin/apikeys/apikey/"),
    "admin-policies": go("/admin/apikeys/keypolicy/"),
    "admin-events": go("/admin/audit/event/"),
}
FILL: Final = (
    "from tests.sample_keys import make_sample_keys; from accounts.models import User; "
    f"make_sample_keys(User.objects.get(email='{DEVELOPER}'))"
)


def main(chosen: set[str]) -> None:
    """Take the pictures of these names, or all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="keyportal-pictures-") as name:
        with (
            Portal(Path(name), f"sqlite:///{name}/portal.sqlite3").running() as portal,
            sync_playwright() as playwright,
        ):
            _prepare(portal)
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            for who, pages in _pages():
                wanted = {name: step for name, step in pages.items() if not chosen or name in chosen}
                for size in SIZES if wanted else ():
                    _take(browser, portal, who, size, wanted)


def _pages() -> Iterator[tuple[str, dict[str, Step]]]:
    yield from (("", STRANGER), (NEWCOMER, WITHOUT_KEYS), (DEVELOPER, WITH_KEYS), (OPERATOR, OPERATORS))


def _prepare(portal: Portal) -> None:
    for email in (DEVELOPER, NEWCOMER, OPERATOR):
        portal.make_developer(email)
    portal.shell(
        f"u = User.objects.get(email='{OPERATOR}'); u.is_staff = u.is_superuser = True; "
        "u.save(update_fields=['is_staff', 'is_superuser'])"
    )
    portal.shell(FILL)


def _take(browser: Browser, portal: Portal, who: str, size: str, pages: dict[str, Step]) -> None:
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=portal.url, viewport={"width": width, "height": height}, reduced_motion="reduce"
    )
    page = context.new_page()
    if who:
        portal.forget_guesses()
        send("/accounts/login/", "Log in", login=who, password=PASSWORD)(page)
    for name, step in pages.items():
        step(page)
        for colours in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if colours == "dark" else "light")
            page.screenshot(path=FOLDER / f"{name}-{size}-{colours}.png", full_page=True)
    context.close()


if __name__ == "__main__":
    main(set(sys.argv[1:]))
