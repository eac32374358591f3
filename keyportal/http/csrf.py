"""Responses to forms with a wrong CSRF token, usually because of a log-in in another tab."""

from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accounts.drafts import Why, save_draft
from accounts.way_back import page_after_log_in, page_of
from keyportal.errors.error_views import error_response

ENTRANCES: Final = frozenset({"account_login", "mfa_login_webauthn", "mfa_authenticate", "account_signup"})
"""Forms whose purpose is fulfilled once the user is logged in."""


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return 403 with a way back to the form, or a redirect if the form wanted to log in and the user now is.

    What another site sent is neither stored nor shown.
    """
    if not is_from_our_page(request):
        return error_response(request, 403, page="csrf", ours=False)
    view = request.resolver_match.view_name if request.resolver_match else ""
    if view in ENTRANCES and request.user.is_authenticated:
        return _already_in(request)
    draft = save_draft(request, Why.STALE, stale=True)
    has_cookie = settings.CSRF_COOKIE_NAME in request.COOKIES
    if view == "account_login" and has_cookie:
        return HttpResponseRedirect(page_of(request))
    return error_response(
        request, 403, page="csrf", ours=True, has_cookie=has_cookie, back=page_of(request), draft=draft
    )


def is_from_our_page(request: HttpRequest) -> bool:
    """Return whether the browser says that a page of the portal sent this request; False if it says nothing."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    source = request.headers.get("Origin") or request.headers.get("Referer", "")
    try:
        parts = urlsplit(source)
    except ValueError:
        return False
    ours = {f"{request.scheme}://{request.get_host()}", *settings.CSRF_TRUSTED_ORIGINS}
    return f"{parts.scheme}://{parts.netloc}" in ours


def _already_in(request: HttpRequest) -> HttpResponse:
    email = request.user.get_username()
    if request.POST.get("login", email).strip().casefold() != email:
        messages.info(request, f"You are already logged in as {email}. Log out first to use another account.")
    return HttpResponseRedirect(page_after_log_in(request))
