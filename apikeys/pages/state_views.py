"""The pages that pause, resume and revoke keys: one, or several at once."""

from collections.abc import Callable, Sequence

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.fresh_login import fresh_login_required
from accounts.requests import AuthenticatedRequest
from accounts.times import in_words
from accounts.way_back import way_back
from apikeys import services, usage
from apikeys.errors import APIKeyError
from apikeys.models import APIKey, live_secrets
from apikeys.pages.own_keys import own_key
from apikeys.pages.state_forms import PauseForm, RevokeForm, RevokeManyForm
from apikeys.pages.view_models import chosen_rows, key_rows
from audit.origin import Origin

MAX_AT_ONCE = 100


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@way_back(form=PauseForm, press="Pause")
def pause(request: AuthenticatedRequest, key_id: str) -> HttpResponse:
    """Refuse a key for now: the key's page posts here; by itself the page asks for the reason and the end."""
    key = own_key(request, key_id)
    form = PauseForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            services.pause(key=key, origin=Origin.of_request(request), **form.cleaned_data)
        except APIKeyError as error:
            messages.error(request, str(error))
        else:
            until = form.cleaned_data["until"]
            end = f"until {in_words(until)}" if until else "until you resume it"
            messages.success(request, f"“{key.name}” is paused. Calls with it are refused {end}.")
        return redirect("keys:detail", key.pk)
    if key.has_ended or key.is_paused:
        return redirect("keys:detail", key.pk)
    return _confirmation(request, "keys/pause.html", form, [key], cancel=_page_of(request, key.pk))


def _page_of(request: HttpRequest, key_id: str) -> str:
    return reverse("keys:detail", args=[key_id])


@require_POST
@fresh_login_required
@way_back(page=_page_of, press="Resume")
def resume(request: AuthenticatedRequest, key_id: str) -> HttpResponse:
    """Accept a paused key again, after a fresh log-in."""
    key = own_key(request, key_id)
    try:
        services.resume(key=key, origin=Origin.of_request(request))
    except APIKeyError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"“{key.name}” is resumed. Calls with it are accepted again.")
    return redirect("keys:detail", key.pk)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@way_back(form=RevokeForm, press="Revoke for good")
def revoke(request: AuthenticatedRequest, key_id: str) -> HttpResponse:
    """Ask for confirmation (with the key's name, if it is in use), then end the key for good."""
    key = own_key(request, key_id)
    recent_usage = usage.recent_usage([key.pk])[key.pk]
    sent = request.POST if request.method == "POST" else None
    form = RevokeForm(sent, key=key, in_use=recent_usage.calls > 0)
    if form.is_valid():
        services.revoke(key=key, reason=form.cleaned_data["reason"], origin=Origin.of_request(request))
        messages.success(request, f"“{key.name}” is revoked. Calls with it are refused from now on.")
        return redirect("keys:detail", key.pk)
    if key.revoked_at:
        return redirect("keys:detail", key.pk)
    [row] = key_rows([key], request.user)
    context = {"row": row, "form": form, "recent_usage": recent_usage}
    return TemplateResponse(request, "keys/revoke.html", context, status=400 if form.is_bound else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@way_back(form=PauseForm, press="Pause")
def pause_many(request: AuthenticatedRequest) -> HttpResponse:
    """Show what several keys are used for, then pause them all."""
    keys = [key for key in _chosen(request) if not key.has_ended and not key.is_paused]
    form = PauseForm(request.POST if request.method == "POST" else None)
    if not keys:
        return _nothing_chosen(request, "pause")
    if not form.is_valid():
        return _confirmation(request, "keys/pause.html", form, keys)
    origin = Origin.of_request(request)
    return _done(request, keys, "paused", lambda key: services.pause(key=key, origin=origin, **form.cleaned_data))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@way_back(form=RevokeManyForm, press="Revoke for good")
def revoke_many(request: AuthenticatedRequest) -> HttpResponse:
    """Show what several keys are used for, then end them all for good."""
    keys = [key for key in _chosen(request) if not key.revoked_at]
    recent = usage.recent_usage([key.pk for key in keys])
    sent = request.POST if request.method == "POST" else None
    form = RevokeManyForm(sent, in_use=any(one.calls for one in recent.values()))
    if not keys:
        return _nothing_chosen(request, "revoke")
    if not form.is_valid():
        return _confirmation(request, "keys/revoke_many.html", form, keys)
    origin = Origin.of_request(request)
    reason: str = form.cleaned_data["reason"]
    return _done(request, keys, "revoked", lambda key: services.revoke(key=key, reason=reason, origin=origin))


def _chosen(request: AuthenticatedRequest) -> list[APIKey]:
    """Return the developer's own keys among the chosen ones; others are left out, as if they did not exist."""
    # Also a POST names them in its address, so that the way back after a log-in leads to the same ones.
    ids = [key_id for key_id in request.GET.getlist("key")[:MAX_AT_ONCE] if key_id.isprintable()]
    return list(APIKey.objects.of(request.user).filter(pk__in=ids).prefetch_related(live_secrets()))


def _nothing_chosen(request: AuthenticatedRequest, verb: str) -> HttpResponse:
    messages.info(request, f"Select the keys to {verb} first. Keys that have ended can't be {verb}d.")
    return redirect("keys:list")


def _confirmation(
    request: AuthenticatedRequest, page: str, form: Form, keys: Sequence[APIKey], *, cancel: str = ""
) -> HttpResponse:
    """Return the page that names the keys and what they are used for, and asks for the reason.

    `cancel` is where it leads who changes their mind; the list by default.
    """
    context = {"rows": chosen_rows(keys, request.user), "form": form, "cancel": cancel or reverse("keys:list")}
    return TemplateResponse(request, page, context, status=400 if form.is_bound else 200)


def _done(
    request: AuthenticatedRequest, keys: Sequence[APIKey], done: str, act: Callable[[APIKey], object]
) -> HttpResponse:
    """Act on each key, and say how many were changed, and why others were not."""
    changed = 0
    for key in keys:
        try:
            changed += bool(act(key))
        except APIKeyError as error:
            messages.error(request, f"“{key.name}”: {error}")
    messages.success(request, f"{changed} key{'' if changed == 1 else 's'} {done}.")
    return redirect("keys:list")
