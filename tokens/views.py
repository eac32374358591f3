"""The page of signed-in apps: log-ins by password at the auth endpoint, and their end."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST, require_safe

from accounts.origin import AuthenticatedRequest, Origin
from accounts.services import end_all_tokens
from accounts.way_back import way_back
from tokens import services
from tokens.models import TokenFamily

PAGE = 25


@login_required
@require_safe
def list_apps(request: AuthenticatedRequest) -> HttpResponse:
    """Show where tokens of this account are in use: since when, from where, last refreshed."""
    page = Paginator(TokenFamily.objects.alive().of(request.user), PAGE).get_page(request.GET.get("page"))
    return TemplateResponse(request, "tokens/apps.html", {"page": page})


@require_POST
@login_required
@way_back(page="apps:list", press="End")
def end_app(request: AuthenticatedRequest, family_id: str) -> HttpResponse:
    """End one of them."""
    family = get_object_or_404(TokenFamily, pk=family_id, user=request.user)
    services.end_family(family=family, reason="ended in the portal", origin=Origin.of_request(request))
    messages.success(request, "Signed out. Its tokens are refused from now on.")
    return redirect("apps:list")


@require_POST
@login_required
@way_back(page="apps:list", press="End all of them")
def end_apps(request: AuthenticatedRequest) -> HttpResponse:
    """End all of them, and every other signed token of the account."""
    end_all_tokens(user=request.user, origin=Origin.of_request(request))
    messages.success(request, "All signed-in apps are signed out. Your keys go on working.")
    return redirect("apps:list")
