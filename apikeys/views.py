"""The pages of a developer's keys. One URL, one view, one action; every write goes through `apikeys.services`."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.fresh_login import fresh_login_required, require_fresh_login
from accounts.requests import AuthenticatedRequest
from accounts.way_back import way_back
from apikeys import services, usage
from apikeys.errors import AlreadyCreatedError, APIKeyError, IntegrityViolationError, NotRevealableError
from apikeys.forms import KeyForm, NewKeyForm, RevokeForm, key_initial
from apikeys.models import APIKey, Environment, KeySecret
from apikeys.snippets import snippets
from apikeys.view_models import KeyList, key_page, key_rows, options
from apikeys.widening import edited_columns, widened_columns
from audit.origin import Origin

PAGE_SIZE = 25
STATES = (("active", "Active"), ("paused", "Paused"), ("expired", "Expired"), ("revoked", "Revoked"))


@login_required
@require_safe
def list_keys(request: AuthenticatedRequest) -> HttpResponse:
    """Show the developer's keys, searched and filtered, 25 a page."""
    mine = APIKey.objects.of(request.user)
    query, state, environment = (request.GET.get(name, "")[:100] for name in ("q", "state", "environment"))
    found = mine.in_state(state).matching(query)
    if environment in Environment.values:
        found = found.filter(environment=environment)
    page = Paginator(found.prefetch_related("secrets"), PAGE_SIZE).get_page(request.GET.get("page"))
    shown = KeyList(
        page=page,
        rows=key_rows(list(page), request.user),
        query=query,
        states=options(STATES, state),
        environments=options(Environment.choices, environment),
        is_filtered=bool(query or state or environment),
        has_keys=bool(page.paginator.count) or mine.exists(),
    )
    return TemplateResponse(request, "keys/list.html", shown._asdict())


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@way_back(form=NewKeyForm, press="Create key")
@sensitive_variables("secret")
def new_key(request: AuthenticatedRequest) -> HttpResponse:
    """Show the form, prefilled from the query so that docs can link to it; a valid POST creates the key and shows it.

    The secret appears only in this response: a redirect would have to carry it.
    """
    if not request.user.is_confirmed:
        return redirect("keys:list")
    if request.method != "POST":
        initial = {"name": request.GET.get("name"), "scopes": request.GET.getlist("scope")}
        return _show_new(request, NewKeyForm(initial={**initial, "form_token": NewKeyForm.new_token()}))
    form = NewKeyForm(request.POST)
    if not form.is_valid():
        return _show_new(request, form)
    fields = ("name", "environment", "scopes", "networks", "expires_at", "show_once", "form_token")
    chosen = {field: form.cleaned_data[field] for field in fields}
    try:
        key, secret = services.create_key(owner=request.user, origin=Origin.of_request(request), **chosen)
    except AlreadyCreatedError as made:
        messages.info(request, "Your first click created this key. Its secret is not shown again automatically.")
        return redirect("keys:detail", made.key_id)
    except APIKeyError as error:
        form.add_error(None, str(error))
        return _show_new(request, form)
    return _show_secret(request, key, secret, created=True)


@login_required
@require_safe
def detail(request: AuthenticatedRequest, key_id: str) -> HttpResponse:
    """Show one key: its state, secrets, settings and timeline."""
    shown = key_page(_mine(request, key_id), request.user, by_hour=request.GET.get("by") == "hour")
    return TemplateResponse(request, "keys/detail.html", shown._asdict())


@login_required
@require_safe
def first_call(request: AuthenticatedRequest, key_id: str) -> JsonResponse:
    """Return `{"used": true}` once the key has been used; the page of a new secret polls this."""
    return JsonResponse({"used": usage.source_addresses(_mine(request, key_id).pk).exists()})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@way_back(form=KeyForm, press="Save")
def edit(request: AuthenticatedRequest, key_id: str) -> HttpResponse:
    """Change name, scopes, networks and expiry of a key that is not revoked. Widening it needs a fresh log-in."""
    key = _mine(request, key_id)
    if key.revoked_at:
        return redirect("keys:detail", key.pk)
    sent = request.POST if request.method == "POST" else None
    form = KeyForm(sent, held=key.scope_list, expires_at=key.expires_at, initial=key_initial(key))
    if form.is_valid():
        chosen = {field: form.cleaned_data[field] for field in ("name", "scopes", "networks", "expires_at")}
        if widened_columns(key, edited_columns(**chosen)):
            require_fresh_login(request)
        try:
            services.edit_key(key=key, origin=Origin.of_request(request), **chosen)
        except APIKeyError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "Saved. The change applies from the next request on.")
            return redirect("keys:detail", key.pk)
    return TemplateResponse(request, "keys/edit.html", {"key": key, "form": form}, status=400 if form.is_bound else 200)


def _key_page(request: HttpRequest, key_id: str, secret_id: str) -> str:
    return reverse("keys:detail", args=[key_id]) + "#secrets"


@require_POST
@fresh_login_required
@way_back(page=_key_page, press="Reveal")
@sensitive_variables("text")
def reveal(request: AuthenticatedRequest, key_id: str, secret_id: str) -> HttpResponse:
    """Show a secret again: POST only, after a fresh log-in, recorded, never cached."""
    secret = get_object_or_404(KeySecret, pk=secret_id, key=_mine(request, key_id))
    try:
        text = services.reveal(secret=secret, origin=Origin.of_request(request))
    except NotRevealableError as error:
        messages.error(request, str(error))
        return redirect("keys:detail", key_id)
    except IntegrityViolationError:
        return render(request, "keys/broken.html", {"key": secret.key}, status=500)
    return _show_secret(request, secret.key, text, created=False)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@way_back(form=RevokeForm, press="Revoke for good")
def revoke(request: AuthenticatedRequest, key_id: str) -> HttpResponse:
    """Ask for confirmation (with the key's name, if it is in use), then end the key for good."""
    key = _mine(request, key_id)
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


def _mine(request: AuthenticatedRequest, key_id: str) -> APIKey:
    """Return the developer's own key. Another developer's key is a 404, like one that does not exist."""
    return get_object_or_404(APIKey.objects.of(request.user).prefetch_related("secrets"), pk=key_id)


def _show_new(request: AuthenticatedRequest, form: NewKeyForm) -> HttpResponse:
    context = {"form": form, "my_address": request.META["REMOTE_ADDR"]}
    return TemplateResponse(request, "keys/new.html", context, status=400 if form.is_bound else 200)


@sensitive_variables("secret")
def _show_secret(request: HttpRequest, key: APIKey, secret: str, *, created: bool) -> HttpResponse:
    context = {
        "key": key,
        "secret": secret,
        "created": created,
        "kept": key.secrets.exclude(ciphertext=None).exists(),
        "masked": created or "copy" in request.POST,
        "snippets": snippets(),
    }
    return never_cache(render)(request, "keys/secret.html", context)
