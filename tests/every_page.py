"""Every page of the portal in every state that sample keys show: who sees it, and the steps that lead there."""

import re
from collections.abc import Callable
from typing import Final

from playwright.sync_api import Page

from tests.portal import Portal
from tests.portal_user import PASSWORD

DEVELOPER, NEWCOMER, OPERATOR = "developer@example.com", "newcomer@example.com", "operator@example.com"
Step = Callable[[Page], object]


def go(path: str) -> Step:
    """Return the step that opens an address."""
    return lambda page: page.goto(path)


def key(name: str, *links: str, among: str = "/keys/") -> Step:
    """Return the step that opens the page of a key, and then follows links or buttons by their beginning."""

    def step(page: Page) -> None:
        page.goto(among)
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
    "reset-sent": go("/accounts/password/reset/done/"),
    "reset-link-used": go("/accounts/password/reset/key/a-b/"),
    "confirm": go("/accounts/confirm-email/"),
    "confirm-link-used": go("/accounts/confirm-email/nonsense/"),
    "deactivated": go("/accounts/inactive/"),
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
    "key-by-hour": key("billing server", "48 hours"),
    "key-by-quarter": key("billing server", "90 days"),
    "key-edit": key("billing server", "Edit"),
    "key-networks": key("CI", "Check and change"),
    "key-rotate": key("partner", "Rotate"),
    "key-rotate-running": key("billing server", "Rotate"),
    "key-end-overlap": key("billing server", "End the overlap"),
    "key-pause": key("partner", "Pause for a while"),
    "key-revoke": key("billing server", "Revoke"),
    "key-revoke-error": key("billing server", "Revoke", "Revoke for good"),
    "key-revoked": key("laptop", among="/keys/?state=revoked"),
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
    "address": go("/accounts/email/"),
    "password": go("/accounts/password/change/"),
    "log-out": go("/accounts/logout/"),
    "confirm-password": go("/accounts/reauthenticate/"),
    "sessions": go("/accounts/sessions/"),
    "second-factor": go("/accounts/2fa/"),
    "authenticator": go("/accounts/2fa/totp/activate/"),
    "passkeys": go("/accounts/2fa/webauthn/"),
    "passkey-new": go("/accounts/2fa/webauthn/add/"),
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
PAGES: Final = {"": STRANGER, NEWCOMER: WITHOUT_KEYS, DEVELOPER: WITH_KEYS, OPERATOR: OPERATORS}
"""By the e-mail address of who sees them."""


def prepare(portal: Portal) -> None:
    """Make the accounts of the pages, and sample keys for the developer."""
    for email in (DEVELOPER, NEWCOMER, OPERATOR):
        portal.make_developer(email)
    portal.shell(
        f"u = User.objects.get(email='{OPERATOR}'); u.is_staff = u.is_superuser = True; "
        "u.save(update_fields=['is_staff', 'is_superuser'])"
    )
    portal.shell(FILL)


def log_in(page: Page, portal: Portal, email: str) -> None:
    """Log in as one of those the pages are for; a stranger stays one."""
    if email:
        portal.forget_guesses()
        send("/accounts/login/", "Log in", login=email, password=PASSWORD)(page)
