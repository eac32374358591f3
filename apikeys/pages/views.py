"""The pages of a developer's keys: the list, a new one, one, its settings.

One URL, one view, one action; every write goes through `apikeys.services`.
"""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from accounts.fresh_login import require_fresh_login
from accounts.requests import AuthenticatedRequest
from accounts.way_back import way_back
from apikeys import services, usage
from apikeys.errors import AlreadyCreatedError, APIKeyError, ChangedMeanwhileError
from apikeys.models import APIKey, Environment, live_secrets
from apikeys.pages.forms import EditKeyForm, NewKeyForm, key_initial
from apikeys.pages.key_page import key_page
from apikeys.pages.own_keys import CREATED, own_key, show_secret
from apikeys.pages.view_models import KeyList, key_rows, options
from apikeys.widening import edited_columns, widened_columns
from audit.origin import Origin

PAGE_SIZE = 25
STATES = (("active", "Active"), ("paused", "Paused"), ("expired", "Expired"), ("revoked", "Revoked"))


@login_required
@require_safe
def list_keys(request: AuthenticatedRequest) -> HttpResponse:
    """Show the developer's keys, searched and filtered, 25 a page. Revoked ones are shown if they are asked for."""
    mine = APIKey.objects.of(request.user)
    query, state, environment = (request.GET.get(name, "")[:100] for name in ("q", "state", "environment"))
    revoked = mine.exclude(revoked_at=None)
    found = (mine.in_state(state) if state or query else mine.filter(revoked_at=None)).matching(query)
    if environment in Environment.values:
        found = found.filter(environment=environment)
    page = Paginator(found.prefetch_related(live_secrets()), PAGE_SIZE).get_page(request.GET.get("page"))
    shown = KeyList(
        page=page,
        rows=key_rows(list(page), request.user),
        query=query,
        states=options(STATES, state),
        environments=options(Environment.choices, environment),
        is_filtered=bool(query or state or environment),
        has_keys=bool(page.paginator.count) or mine.exists(),
        selectable=any(not key.revoked_at for key in page),
        hidden=0 if state or query else revoked.count(),
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
    return show_secret(request, key, secret, title=CREATED)


@login_required
@require_safe
def detail(request: AuthenticatedRequest, key_id: str) -> HttpResponse:
    """Show one key: its state, secrets, settings and timeline."""
    shown = key_page(own_key(request, key_id), request.user, period=request.GET.get("by", ""))
    return TemplateResponse(request, "keys/detail.html", shown._asdict())


@login_required
@require_safe
def first_call(request: AuthenticatedRequest, key_id: str) -> JsonResponse:
    """Return `{"used": true}` once the current secret has been used; the page of a new secret polls this."""
    key = own_key(request, key_id)
    used = usage.last_uses([key.pk])[key.pk]
    return JsonResponse({"used": any(secret.is_current and secret.pk in used for secret in key.secrets.all())})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@way_back(form=EditKeyForm, press="Save")
def edit(request: AuthenticatedRequest, key_id: str) -> HttpResponse:
    """Change name, scopes, networks and expiry of a key that is not revoked. Widening it needs a fresh log-in."""
    key = own_key(request, key_id)
    if key.revoked_at:
        return redirect("keys:detail", key.pk)
    sent = request.POST if request.method == "POST" else None
    form = EditKeyForm(sent, key=key, initial=key_initial(key))
    if form.is_valid():
        chosen = {field: form.cleaned_data[field] for field in ("name", "scopes", "networks", "expires_at")}
        if widened_columns(key, edited_columns(**chosen)):
            require_fresh_login(request)
        try:
            services.edit_key(
                key=key, version=form.cleaned_data["version"], origin=Origin.of_request(request), **chosen
            )
        except ChangedMeanwhileError:
            form.tell_of_change(own_key(request, key_id))
        except APIKeyError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "Saved. The change applies from the next request on.")
            return redirect("keys:detail", key.pk)
    return TemplateResponse(request, "keys/edit.html", {"key": key, "form": form}, status=400 if form.is_bound else 200)


def _show_new(request: AuthenticatedRequest, form: NewKeyForm) -> HttpResponse:
    context = {"form": form, "my_address": request.META["REMOTE_ADDR"]}
    return TemplateResponse(request, "keys/new.html", context, status=400 if form.is_bound else 200)
