"""The editor of a key's allowed networks: a list is checked against recent calls, and then saved.

One URL, one view, one action; the editor's buttons post to different URLs.
"""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.fresh_login import require_fresh_login
from accounts.requests import AuthenticatedRequest
from accounts.way_back import way_back
from apikeys import services
from apikeys.errors import APIKeyError
from apikeys.network_evidence import dry_run, recent_calls
from apikeys.networks import MAX_TEXT, NetworksError, add_network, parse_text
from apikeys.pages.network_forms import NetworksForm
from apikeys.pages.network_view_models import leaves_out, networks_page
from apikeys.pages.own_keys import own_key
from apikeys.widening import widened_columns
from audit.origin import Origin


def _editor(request: HttpRequest, key_id: str) -> str:
    return reverse("keys:networks", args=[key_id])


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@way_back(form=NetworksForm, press="Save")
def edit_networks(request: AuthenticatedRequest, key_id: str) -> HttpResponse:
    """Show the editor; a POST saves the list. One that might have refused recent calls is shown checked first."""
    key = own_key(request, key_id)
    if key.revoked_at:
        return redirect("keys:detail", key.pk)
    form = NetworksForm(request.POST if request.method == "POST" else None, key=key)
    if not form.is_valid():
        return _show(request, form)
    if form.is_changed and not form.was_checked and not dry_run(recent_calls(key.pk), form.networks_chosen).is_harmless:
        return _show(request, form, is_unsaved=True)
    return _save(request, form)


@login_required
@require_POST
@way_back(page=_editor, form=NetworksForm, press="Check")
def check_networks(request: AuthenticatedRequest, key_id: str) -> HttpResponse:
    """Show the editor with what the list would have done to the recent calls. Nothing is changed."""
    key = own_key(request, key_id)
    return redirect("keys:detail", key.pk) if key.revoked_at else _show(request, NetworksForm(request.POST, key=key))


@login_required
@require_POST
@way_back(page=_editor, form=NetworksForm)
def add_networks(request: AuthenticatedRequest, key_id: str) -> HttpResponse:
    """Show the editor with the networks of the button in the list, checked. Nothing is changed."""
    key = own_key(request, key_id)
    if key.revoked_at:
        return redirect("keys:detail", key.pk)
    sent = request.POST.copy()
    sent["networks"] = _with_added(sent.get("networks", ""), sent.get("add", ""))
    return _show(request, NetworksForm(sent, key=key))


def _with_added(text: str, added: str) -> str:
    """Return the list with these networks. A list that is too long, and what no button has, are left as they are."""
    try:
        found = parse_text(added) if len(text) <= MAX_TEXT else []
    except NetworksError:
        return text
    for network in found:
        text = add_network(text, network)
    return text


def _save(request: AuthenticatedRequest, form: NetworksForm) -> HttpResponse:
    key, origin = form.key, Origin.of_request(request)
    if widened_columns(key, {"networks": " ".join(form.chosen)}):
        require_fresh_login(request)
    try:
        if form.is_changed:  # the second click of a double click changes nothing
            services.edit_key(
                key=key,
                name=key.name,
                scopes=key.scope_list,
                networks=form.chosen,
                expires_at=key.expires_at,
                origin=origin,
            )
    except APIKeyError as error:
        return _show_failure(request, key.pk, str(error))
    messages.success(request, "Saved. The change applies from the next request on.")
    if leaves_out(request.META["REMOTE_ADDR"], form.networks_chosen):
        messages.info(request, "Your own address isn't in the list. That's fine if only your servers use the key.")
    return redirect("keys:detail", key.pk)


def _show_failure(request: AuthenticatedRequest, key_id: str, reason: str) -> HttpResponse:
    form = NetworksForm(request.POST, key=own_key(request, key_id))  # as it is now: the verb has changed its own copy
    if form.is_valid():
        form.add_error(None, reason)
    return _show(request, form)


def _show(request: AuthenticatedRequest, form: NetworksForm, *, is_unsaved: bool = False) -> HttpResponse:
    page = networks_page(form, request.META["REMOTE_ADDR"], is_unsaved=is_unsaved)
    status = 400 if form.errors or is_unsaved else 200
    return TemplateResponse(request, "keys/networks.html", page._asdict(), status=status)
