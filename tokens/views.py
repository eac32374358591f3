"""The page of signed-in apps (log-ins by password at the auth endpoint), and closing an account."""

from allauth.core.exceptions import ReauthenticationRequired
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.errors import LastOperatorError
from accounts.fresh_login import is_fresh
from accounts.requests import AuthenticatedRequest
from accounts.services import end_all_tokens
from accounts.way_back import way_back
from apikeys import usage
from apikeys.models import APIKey
from audit.origin import Origin
from tokens import services
from tokens.closing import close_account
from tokens.forms import CloseForm
from tokens.models import TokenFamily
from tokens.view_models import app_row

PAGE = 25


@login_required
@require_safe
def list_apps(request: AuthenticatedRequest) -> HttpResponse:
    """Show where tokens of this account are in use: since when, from where, last refreshed."""
    page = Paginator(TokenFamily.objects.alive().of(request.user), PAGE).get_page(request.GET.get("page"))
    apps = [app_row(family) for family in page]
    return TemplateResponse(request, "tokens/apps.html", {"page": page, "apps": apps})


@require_POST
@login_required
@way_back(page="apps:list", press="End")
def end_app(request: AuthenticatedRequest, family_id: str) -> HttpResponse:
    """End one signed-in app."""
    family = get_object_or_404(TokenFamily, pk=family_id, user=request.user)
    services.end_family(family=family, reason="ended in the portal", origin=Origin.of_request(request))
    messages.success(request, "Signed out. Its tokens are refused from now on.")
    return redirect("apps:list")


@require_POST
@login_required
@way_back(page="apps:list", press="End all")
def end_apps(request: AuthenticatedRequest) -> HttpResponse:
    """End all signed-in apps, and every other signed token of the account."""
    end_all_tokens(user=request.user, origin=Origin.of_request(request))
    messages.success(request, "All signed-in apps are signed out. Your keys keep working.")
    return redirect("apps:list")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@way_back(press="Close the account for good")
def close(request: AuthenticatedRequest) -> HttpResponse:
    """Show what would stop and ask for confirmation, then close the account for good. Needs a fresh log-in."""
    if not is_fresh(request):
        raise ReauthenticationRequired
    keys = list(APIKey.objects.of(request.user).alive())
    form = CloseForm(request.POST if request.method == "POST" else None, user=request.user)
    if form.is_valid():
        try:
            close_account(user=request.user, origin=Origin.of_request(request))
        except LastOperatorError as error:
            form.add_error(None, str(error))
        else:
            logout(request)
            messages.success(
                request, "Your account is closed, and its keys are revoked. Thank you for using the portal."
            )
            return redirect("home")
    calls = sum(recent_usage.calls for recent_usage in usage.recent_usage([key.pk for key in keys]).values())
    context = {"form": form, "keys": len(keys), "calls": calls}
    return TemplateResponse(request, "tokens/close.html", context, status=400 if form.is_bound else 200)
