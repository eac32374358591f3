"""The pages of a key's secrets: show one again, rotate the key, end an overlap."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from accounts.fresh_login import fresh_login_required, require_fresh_login
from accounts.requests import AuthenticatedRequest
from accounts.way_back import way_back
from apikeys import services
from apikeys.errors import APIKeyError, IntegrityViolationError, NotRevealableError
from apikeys.models import KeySecret
from apikeys.pages.key_page import secret_rows
from apikeys.pages.own_keys import REVEALED, ROTATED, own_key, show_secret
from apikeys.pages.state_forms import EndOverlapForm, RotateForm
from apikeys.services.rotation import JUST_ROTATED, current_secret
from audit.origin import Origin


def _key_page(request: HttpRequest, key_id: str, secret_id: str = "") -> str:
    return reverse("keys:detail", args=[key_id]) + "#secrets"


@require_POST
@fresh_login_required
@way_back(page=_key_page, press="Reveal")
@sensitive_variables("text")
def reveal(request: AuthenticatedRequest, key_id: str, secret_id: str) -> HttpResponse:
    """Show a secret again: POST only, after a fresh log-in, recorded, never cached."""
    secret = get_object_or_404(KeySecret, pk=secret_id, key=own_key(request, key_id))
    try:
        text = services.reveal(secret=secret, origin=Origin.of_request(request))
    except NotRevealableError as error:
        messages.error(request, str(error))
        return redirect("keys:detail", key_id)
    except IntegrityViolationError:
        return render(request, "keys/broken.html", {"key": secret.key}, status=500)
    return show_secret(request, secret.key, text, title=REVEALED)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@way_back(form=RotateForm, press="Rotate")
@sensitive_variables("text")
def rotate(request: AuthenticatedRequest, key_id: str) -> HttpResponse:
    """Ask for how long the former secret goes on working, then give the key another one and show it."""
    key = own_key(request, key_id)
    if key.has_ended:
        return redirect("keys:detail", key.pk)
    former, running = current_secret(key), [row for row in secret_rows(key) if row.recent is not None]
    sent = request.POST if request.method == "POST" else None
    if sent and sent.get("replaces") != former.pk:
        messages.error(request, JUST_ROTATED)
        return redirect("keys:detail", key.pk)
    form = RotateForm(sent, is_running=bool(running), initial={"replaces": former.pk})
    if form.is_valid():
        require_fresh_login(request)
        try:
            key, text = services.rotate(key=key, origin=Origin.of_request(request), **form.cleaned_data)
        except APIKeyError as error:
            messages.error(request, str(error))
            return redirect("keys:detail", key.pk)
        former.refresh_from_db()
        return show_secret(request, key, text, title=ROTATED, former=former)
    context = {"key": key, "form": form, "running": running}
    return TemplateResponse(request, "keys/rotate.html", context, status=400 if form.is_bound else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@way_back(press="End the overlap now")
def end_overlap(request: AuthenticatedRequest, key_id: str) -> HttpResponse:
    """Show how the former secret was used lately, then retire it before its time."""
    key = own_key(request, key_id)
    rows = [row for row in secret_rows(key) if row.recent is not None]
    is_unused = all(row.recent.is_unused for row in rows if row.recent)
    form = EndOverlapForm(request.POST if request.method == "POST" else None, is_unused=is_unused)
    if form.is_valid():
        try:
            ended = services.end_overlap(key=key, origin=Origin.of_request(request))
        except APIKeyError as error:
            messages.error(request, str(error))
        else:
            messages.success(
                request, "The former secret is refused from now on." if ended else "No overlap is running."
            )
    elif rows:
        context = {"key": key, "rows": rows, "form": form}
        return TemplateResponse(request, "keys/end_overlap.html", context, status=400 if form.is_bound else 200)
    return redirect("keys:detail", key.pk)
