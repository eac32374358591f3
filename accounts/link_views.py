"""Pages behind mailed links. A GET changes nothing, because mail scanners open links too."""

from types import SimpleNamespace

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.email_verification import login_on_verification
from allauth.core.exceptions import ReauthenticationRequired
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import link_mail, links, services
from accounts.devices import remember_device
from accounts.errors import AddressTakenError, InvalidLinkError
from accounts.forms import AddressForm, NewAddressForm
from accounts.fresh_login import is_fresh
from accounts.models import MailedLink, User
from accounts.requests import AuthenticatedRequest
from accounts.way_back import way_back
from audit.origin import Origin

PAGE_METHODS = ["GET", "HEAD", "POST"]


@never_cache
@way_back(press="Yes, confirm")
@require_http_methods(PAGE_METHODS)
def confirm_email(request: HttpRequest, key: str) -> HttpResponse:
    """Confirm the address of a sign-up. In the browser that signed up, this also completes the log-in."""
    link = _good(links.CONFIRM, key)
    if request.method != "POST":
        return render(request, "account/email_confirm.html", {"email": link.email, "key": key})
    user = services.confirm_by_link(link=link, origin=_origin(request, link))
    if request.user.is_authenticated and request.user.pk != user.pk:
        get_adapter().logout(request)
    logged_in: HttpResponse | None = login_on_verification(request, SimpleNamespace(user_id=user.pk))
    if logged_in is not None:
        return logged_in
    messages.success(request, "Your e-mail address is confirmed.")
    return redirect("keys:list" if request.user.is_authenticated else "account_login")


@login_required
@way_back(form=NewAddressForm, press="Send confirmation link")
@require_http_methods(PAGE_METHODS)
def address(request: AuthenticatedRequest) -> HttpResponse:
    """Show the account's address and any pending change; a valid POST sends the link that confirms a new one."""
    form = NewAddressForm(request.POST if request.method == "POST" else None, user=request.user)
    if request.method == "POST" and not is_fresh(request):
        raise ReauthenticationRequired
    if form.is_valid():
        email = form.cleaned_data["email"]
        link_mail.enforce_limits(request, links.CHANGE, email)
        services.request_change(user=request.user, email=email, origin=Origin.of_request(request))
        messages.success(request, "We sent a confirmation link to the new address. Open it in this browser.")
        return redirect("account_email")
    context = {"form": form, "pending": links.pending_change(request.user)}
    return TemplateResponse(request, "account/email_change.html", context, status=400 if form.is_bound else 200)


@require_POST
@login_required
@way_back(page="keys:list", press="Send the link again")
def send_confirmation(request: AuthenticatedRequest) -> HttpResponse:
    """Send the link that confirms the account's address again, as after an operator took the confirmation back."""
    if not request.user.is_confirmed:
        link_mail.enforce_limits(request, links.CONFIRM, request.user.email)
        link_mail.send_confirmation(user=request.user, email=request.user.email)
        messages.success(request, "We sent a confirmation link to your address.")
    return redirect("keys:list")


@require_POST
@login_required
@way_back(page="account_email", press="Cancel change")
def cancel_change(request: AuthenticatedRequest) -> HttpResponse:
    """Cancel a pending change of address."""
    if services.cancel_change(user=request.user, origin=Origin.of_request(request)):
        messages.success(request, "The change is cancelled. Its link no longer works.")
    return redirect("account_email")


@never_cache
@login_required
@way_back(press="Change address")
@require_http_methods(PAGE_METHODS)
def confirm_change(request: AuthenticatedRequest, key: str) -> HttpResponse:
    """Make a new address the account's. It needs the account's own session: reading the mailbox is not enough."""
    link = _good(links.CHANGE, key)
    if link.user != request.user:
        raise InvalidLinkError
    if request.method != "POST":
        return render(request, "account/change_confirm.html", {"email": link.email, "key": key})
    try:
        services.confirm_change(link=link, origin=Origin.of_request(request))
    except AddressTakenError as error:
        messages.error(request, str(error))
        return redirect("account_email")
    messages.success(request, f"Done. You now log in with {link.email}.")
    response = redirect("account_email")
    remember_device(request, response, link.email)  # what marks a browser names the address
    return response


@never_cache
@way_back(press="Recover my account")
@require_http_methods(PAGE_METHODS)
def undo_change(request: HttpRequest, key: str) -> HttpResponse:
    """Return an account to its old address, end all its sessions, and lead on to a new password."""
    link = _good(links.UNDO, key)
    if request.method != "POST":
        return render(request, "account/change_undo.html", {"email": link.email, "key": key})
    try:
        user = services.undo_change(link=link, origin=_origin(request, link))
    except AddressTakenError:
        return render(request, "account/change_undo.html", {"email": link.email, "taken": True}, status=409)
    text = links.issue(links.RESET, user=user, email=user.email)
    messages.success(request, "Your address is back, and everyone is signed out. Choose a new password now.")
    return redirect("account_reset_password_from_key", uidb36=user.pk, key=text)


@way_back(form=AddressForm, press="Send the link")
@require_http_methods(PAGE_METHODS)
def ask_for_unlock(request: HttpRequest) -> HttpResponse:
    """Send the link that lets a user log in from this browser while strangers guess at the password."""
    form = AddressForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        email = form.cleaned_data["email"]
        link_mail.enforce_limits(request, links.UNLOCK, email)
        link_mail.send_unlock(user=User.objects.filter(email=email, is_active=True).first(), email=email)
        return render(request, "account/unlock_sent.html")
    status = 400 if form.is_bound else 200
    return TemplateResponse(request, "account/unlock_request.html", {"form": form}, status=status)


@never_cache
@way_back(press="Use this browser")
@require_http_methods(PAGE_METHODS)
def unlock(request: HttpRequest, key: str) -> HttpResponse:
    """Make this browser a known place of the account. The password is still required."""
    link = _good(links.UNLOCK, key)
    if request.method != "POST":
        return render(request, "account/unlock_confirm.html", {"email": link.email, "key": key})
    user = services.unlock_browser(link=link, origin=_origin(request, link))
    messages.success(request, "You can now log in from this browser with your password.")
    response = redirect("account_login")
    remember_device(request, response, user.email)
    return response


def _good(purpose: str, key: str) -> MailedLink:
    """Return the link if it is valid now and its address still the account's. Raises `InvalidLinkError`."""
    link = links.find(purpose, key)
    if link is None or link.user is None:
        raise InvalidLinkError
    if purpose in (links.CONFIRM, links.UNLOCK) and link.user.email != link.email:
        raise InvalidLinkError
    return link


def _origin(request: HttpRequest, link: MailedLink) -> Origin:
    return Origin.of_request(request, actor=f"user:{link.user_id}")
