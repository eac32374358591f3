"""The way back after a log-in that interrupted a POST: which page holds the button or the form.

A view declares it by a decorator, an admin by `ways_back` (`add`, `change`, `changelist`), and the table below declares
it for views of libraries. Only fields declared as `keepable` are kept, never a password, code, token or secret.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, TypeVar

from allauth.account.utils import get_next_redirect_url, passthrough_next_redirect_url
from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.urls import reverse

View = TypeVar("View", bound=Callable[..., Any])


class KeepableForm(Protocol):
    """A form that names the fields that may be kept across a log-in."""

    keepable: ClassVar[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class WayBack:
    """The page to return to after a log-in, its button, and the fields to keep."""

    page: str | Callable[..., str] = ""
    """The page's URL name, or a function of the request and the view's arguments; empty if both have the same URL."""
    press: str = ""
    """The button's label."""
    keepable: tuple[str, ...] = ()


def way_back(
    *, page: str | Callable[..., str] = "", press: str = "", form: type[KeepableForm] | None = None
) -> Callable[[View], View]:
    """Declare the page of a view's button, the button's label, and the form whose fields may be kept."""

    def decorate(view: View) -> View:
        view.way_back = WayBack(  # type: ignore[attr-defined]  # way_back_of reads it
            page=page, press=press, keepable=form.keepable if form else ()
        )
        return view

    return decorate


def way_back_of(request: HttpRequest) -> WayBack:
    """Return the declaration of this request's view, or of the table for a library's view."""
    match = request.resolver_match
    if match is None:
        return WayBack()
    declared: WayBack | None = getattr(match.func, "way_back", None)
    of_admin = getattr(getattr(match.func, "model_admin", None), "ways_back", {})  # admin views have this attribute
    return declared or of_admin.get(match.view_name.rpartition("_")[2]) or OF_LIBRARIES.get(match.view_name, WayBack())


def page_of(request: HttpRequest) -> str:
    """Return the URL of the page to come back to."""
    return (request.method == "POST" and page_with_button(request)) or request.get_full_path()


def page_with_button(request: HttpRequest) -> str:
    """Return the URL of the page whose button posts to this URL; empty if it is the same URL."""
    page = way_back_of(request).page
    if not page or request.resolver_match is None:
        return ""
    return reverse(page) if isinstance(page, str) else page(request, **request.resolver_match.kwargs)


def page_after_log_in(request: HttpRequest, **arguments: object) -> str:
    """Return the page to show after a log-in: the one that the user came from, by default the keys page."""
    return get_next_redirect_url(request) or resolve_url(settings.LOGIN_REDIRECT_URL)


def _log_in(request: HttpRequest, **arguments: object) -> str:
    address: str = passthrough_next_redirect_url(request, reverse("account_login"), REDIRECT_FIELD_NAME)
    return address


OF_LIBRARIES: Final[Mapping[str, WayBack]] = {
    "account_login": WayBack(page=_log_in, press="Log in", keepable=("login",)),
    "mfa_login_webauthn": WayBack(page=_log_in, press="Log in with a passkey"),
    "mfa_authenticate": WayBack(page=_log_in, press="Log in"),
    "account_signup": WayBack(press="Sign up", keepable=("email",)),
    "account_reset_password": WayBack(press="Send the link", keepable=("email",)),
    "account_reset_password_from_key": WayBack(press="Set password"),
    "account_logout": WayBack(press="Log out"),
    "account_reauthenticate": WayBack(page=page_after_log_in),
    "mfa_reauthenticate": WayBack(page=page_after_log_in),
    "mfa_reauthenticate_webauthn": WayBack(page=page_after_log_in),
    "account_change_password": WayBack(press="Change password"),
    "usersessions_list": WayBack(press="Log out everywhere else"),
    "mfa_activate_totp": WayBack(press="Add the app"),
    "mfa_deactivate_totp": WayBack(press="Remove the app"),
    "mfa_generate_recovery_codes": WayBack(press="Generate new codes"),
    "mfa_add_webauthn": WayBack(press="Add", keepable=("name", "passwordless")),
    "mfa_edit_webauthn": WayBack(press="Save", keepable=("name",)),
    "mfa_remove_webauthn": WayBack(press="Remove"),
    "admin:logout": WayBack(page="account_logout", press="Log out"),
}
"""The ways back for pages of django-allauth and of Django's admin, by URL name."""
