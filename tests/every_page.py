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


def in_turn(*steps: Step) -> Step:
    """Return the step that takes these one after the other."""

    def step(page: Page) -> None:
        for one in steps:
            one(page)

    return step


def fill(button: str, **fields: str) -> Step:
    """Return the step that fills the form of the page in and presses a button."""

    def step(page: Page) -> None:
        for name, value in fields.items():
            page.locator(f"[name={name}]").first.fill(value)
        page.get_by_role("main").get_by_role("button", name=button).first.click()
        page.wait_for_load_state()

    return step


def send(path: str, button: str, **fields: str) -> Step:
    """Return the step that opens a page, fills its form in and presses a button."""
    return in_turn(go(path), fill(button, **fields))


def choose(*labels: str) -> Step:
    """Return the step that checks boxes or radio buttons by their labels."""
    return in_turn(*((lambda page, label=label: page.get_by_label(label).first.check()) for label in labels))


def follow(name: str) -> Step:
    """Return the step that follows a link."""
    return lambda page: page.get_by_role("link", name=name).first.click()


def unfold(text: str) -> Step:
    """Return the step that opens what is folded under a text."""
    return lambda page: page.locator("summary").filter(has_text=text).first.click()


def opened_before_use(page: Page) -> None:
    """Make the form of the page what it was before a call was counted: it asked for nothing, and said that."""
    page.evaluate(
        """() => {
            document.querySelector("main [name=typed]")?.remove();
            const said = document.createElement("input");
            Object.assign(said, {type: "hidden", name: "said_unused", value: "true"});
            document.querySelector("main form").append(said);
        }"""
    )


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
    "unlock": go("/accounts/login/unlock/"),
    "quickstart-stranger": go("/quickstart/"),
    "diagnose": go("/diagnose/"),
    "reference": go("/docs/"),
    "error-code": go("/docs/errors/retired/"),
    "not-found": go("/nothing/"),
    "styleguide": go("/styleguide/"),
    "outbox": go("/outbox/"),
    "outbox-message": in_turn(go("/outbox/"), follow("[keyportal]")),
}
WITHOUT_KEYS: Final[dict[str, Step]] = {
    "keys-empty": go("/keys/"),
    "quickstart-empty": go("/quickstart/"),
    "apps-empty": go("/account/apps/"),
}
WITH_KEYS: Final[dict[str, Step]] = {
    "keys": go("/keys/"),
    "keys-none-found": go("/keys/?q=nothing"),
    "keys-revoked": go("/keys/?state=revoked"),
    "keys-nothing-chosen": send("/keys/", "Pause…"),
    "keys-pause": in_turn(go("/keys/"), choose("Select CI", "Select partner"), fill("Pause…")),
    "keys-revoke": in_turn(go("/keys/"), choose("Select CI", "Select partner"), fill("Revoke…")),
    "keys-revoke-used": in_turn(
        go("/keys/"), choose("Select CI", "Select partner"), fill("Revoke…"), opened_before_use, fill("Revoke for good")
    ),
    "key": key("partner"),
    "key-rotating": key("billing server"),
    "key-paused": key("nightly export"),
    "key-unused": key("old prototype"),
    "key-by-hour": key("billing server", "48 hours"),
    "key-by-quarter": key("billing server", "90 days"),
    "key-edit": key("billing server", "Edit"),
    "key-edit-error": in_turn(key("billing server", "Edit"), fill("Save", name="\u202e", networks="10.0.0.0/33")),
    "key-networks": key("billing server", "Check and change"),
    "key-networks-error": in_turn(
        key("billing server", "Check and change"), fill("Check", networks="203.0.113.7\n203.0.113.0/24\nnonsense")
    ),
    "key-networks-checked": in_turn(
        key("billing server", "Check and change"), fill("Check", networks="203.0.113.0/24  # office")
    ),
    "key-rotate": key("partner", "Rotate"),
    "key-rotate-running": key("billing server", "Rotate"),
    "key-rotated": in_turn(key("CI", "Rotate"), choose("None: it leaked"), fill("Rotate", reason="in a log")),
    "key-former-secrets": in_turn(key("CI"), unfold("Former secrets")),
    "key-end-overlap": key("billing server", "End the overlap"),
    "key-end-overlap-used": in_turn(
        key("billing server", "End the overlap"), opened_before_use, fill("End the overlap now")
    ),
    "key-pause": key("partner", "Pause for a while"),
    "key-revoke": key("billing server", "Revoke"),
    "key-revoke-error": in_turn(key("billing server", "Revoke"), fill("Revoke for good", typed="another")),
    "key-revoke-used": in_turn(key("billing server", "Revoke"), opened_before_use, fill("Revoke for good")),
    "key-revoke-unused": key("old prototype", "Revoke"),
    "key-revoked": key("laptop", among="/keys/?state=revoked"),
    "key-new": go("/keys/new/"),
    "key-new-error": send("/keys/new/", "Create key", name="\u202e"),
    "key-created": send("/keys/new/", "Create key", name="made for a picture"),
    "key-revealed": key("partner", "Reveal"),
    "quickstart": go("/quickstart/"),
    "reference-logged-in": go("/docs/"),
    "reference-tried": in_turn(
        go("/docs/"), unfold("Try it"), fill("Send"), lambda page: page.locator("[data-answer] pre").first.wait_for()
    ),
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
    "admin-key": in_turn(go("/admin/apikeys/apikey/"), follow("nightly")),
    "admin-policies": go("/admin/apikeys/keypolicy/"),
    "admin-policy": in_turn(go("/admin/apikeys/keypolicy/"), follow("Live")),
    "admin-find": go("/admin/tokens/tokenfamily/find/"),
    "admin-doctor": go("/admin/keyportal/taskrun/doctor/"),
    "admin-doctor-findings": send("/admin/keyportal/taskrun/doctor/", "Examine"),
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
