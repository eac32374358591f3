"""Keys in the admin site: operators inspect, revoke and limit them, and never see a secret.

Every write goes through `apikeys.services`. Operators find a key by its secret on the page that finds every kind of
credential (`tokens/find_pages.py`).
"""

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from typing_extensions import override

from accounts.drafts import Draft, pop_draft
from accounts.fresh_login import require_fresh_login
from accounts.models import User
from accounts.operators import ReadOnlyAdmin
from accounts.way_back import WayBack
from apikeys import services, usage
from apikeys.admin_forms import LimitForm, ReasonForm
from apikeys.errors import APIKeyError
from apikeys.models import APIKey
from apikeys.widening import widened_columns
from audit.origin import Origin

MAX_AT_ONCE = 200
"""The most keys that a confirmation page can name, and the most that a list shows."""
REVOKED_BY_OPERATOR = "revoked by an operator"
ACTIONS_WITH_FORM = ("revoke_keys", "limit_keys")
"""Actions that show a page with a form before they change anything."""


class StateFilter(admin.SimpleListFilter):
    """Filter keys by `APIKey.state`."""

    title = "state"
    parameter_name = "state"

    @override
    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(state, state.title()) for state in ("active", "paused", "expired", "revoked")]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> QuerySet[APIKey]:
        return queryset & APIKey.objects.in_state(self.value() or "") if self.value() else queryset


@admin.register(APIKey)
class APIKeyAdmin(ReadOnlyAdmin):
    """Keys, filtered by state and environment, and searched by id, name, owner or hint."""

    list_display = ("name", "owner", "state", "last_used", "expires_at", "environment", "hints", "id", "seal_is_valid")
    list_filter = (StateFilter, "environment", "created_at")
    search_fields = ("=id", "name", "owner__email", "secrets__hint")
    search_help_text = "Key id, name, owner's e-mail, or the last four characters of a secret."
    list_select_related = ("owner",)
    ordering = ("-created_at",)
    fields = ("id", "name", "owner", "environment", "hints", "state", "scopes", "networks", "created_at", "expires_at")
    readonly_fields = ("hints", "state", "last_used", "seal_is_valid")
    actions = ("revoke_keys", "limit_keys")
    change_list_template = "admin/credentials_list.html"
    subject_type = "key"
    ways_back: ClassVar = {
        "changelist": WayBack(keepable=("action", "_selected_action", "reason", "limit")),
    }

    @override
    def owner_of(self, obj: APIKey) -> User:
        return obj.owner

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[APIKey]:
        """Return the keys, with their secrets prefetched and `used_at` annotated."""
        return APIKey.objects.prefetch_related("secrets").annotate(used_at=usage.last_use())

    @override
    def get_fields(self, request: HttpRequest, obj: APIKey | None = None) -> tuple[str, ...]:
        return (*self.fields, "paused_at", "revoked_at", "revoked_reason", "rate_limit", "seal_is_valid")

    @admin.display(description="hints")
    def hints(self, key: APIKey) -> str:
        """Return the hints of the key's secrets, the only part of a secret that may be shown."""
        return ", ".join(secret.hint for secret in key.secrets.all())

    @admin.display(description="last used", ordering="used_at", empty_value="never")
    def last_used(self, key: APIKey) -> datetime | None:
        """Return when the key, or a token that it was exchanged for, was last accepted; None for never."""
        at: datetime | None = key.used_at  # type: ignore[attr-defined]  # annotated in get_queryset
        return at

    @admin.display(boolean=True, description="row seal matches")
    def seal_is_valid(self, key: APIKey) -> bool:
        """Return whether the row is as the portal wrote it. If not, the key is refused."""
        return key.seal_is_valid()

    @admin.action(permissions=["act"], description="Revoke for good")
    def revoke_keys(
        self, request: HttpRequest, queryset: QuerySet[APIKey], draft: Draft | None = None
    ) -> HttpResponse | None:
        """Show a confirmation that names the keys, then revoke each of them."""
        keys = self._permitted_keys(request, queryset, "revoke")
        form = ReasonForm(request.POST if "reason" in request.POST else None, initial=_initial(draft, "reason"))
        if not keys:
            return None
        if not form.is_valid():
            recent = usage.recent_usage([key.pk for key in keys])
            chosen = [(key, recent[key.pk]) for key in keys]
            return self._form_page(request, "revoke", form, {"chosen": chosen, "title": "Revoke keys"})
        reason, origin = form.cleaned_data["reason"] or REVOKED_BY_OPERATOR, Origin.of_request(request)
        revoked = sum(services.revoke(key=key, reason=reason, origin=origin) for key in keys)
        messages.success(request, f"{revoked} revoked.")
        return None

    @admin.action(permissions=["act"], description="Set the rate limit")
    def limit_keys(
        self, request: HttpRequest, queryset: QuerySet[APIKey], draft: Draft | None = None
    ) -> HttpResponse | None:
        """Show a form that names the keys, then set the limit on each. A higher limit needs a fresh log-in."""
        keys = self._permitted_keys(request, queryset, "set_rate_limit")
        form = LimitForm(request.POST if "limit" in request.POST else None, initial=_initial(draft, "limit"))
        if not keys:
            return None
        context = {"keys": keys, "title": "Set the rate limit", "default": settings.KEYPORTAL_RATE_LIMIT}
        if not form.is_valid():
            return self._form_page(request, "limit", form, context)
        limit, origin = form.cleaned_data["limit"], Origin.of_request(request)
        if any(widened_columns(key, {"rate_limit": limit}) for key in keys):
            require_fresh_login(request)
        try:
            changed = sum(services.set_rate_limit(key=key, limit=limit, origin=origin) for key in keys)
        except APIKeyError as error:
            form.add_error(None, str(error))
            return self._form_page(request, "limit", form, context, status=409)
        messages.success(request, f"{changed} changed.")
        return None

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, or an action's confirmation page again if a fresh log-in had interrupted it."""
        may_see = request.method == "GET" and self.has_view_permission(request)
        draft = pop_draft(request) if may_see else None
        if draft is None:
            return super().changelist_view(request, extra_context)
        name = draft.first("action")
        has_form = name in ACTIONS_WITH_FORM and name in self.get_actions(request)
        messages.warning(request, draft.message(typed=has_form))
        if not has_form:
            return super().changelist_view(request, extra_context)
        chosen = filter(str.isprintable, draft.fields["_selected_action"])
        page: HttpResponse = getattr(self, name)(request, self.get_queryset(request).filter(pk__in=list(chosen)), draft)
        return page

    def _permitted_keys(self, request: HttpRequest, keys: QuerySet[APIKey], action: str) -> list[APIKey]:
        """Return the keys to act on. Return none, with a message, if there are more than a form can name."""
        if keys.count() > MAX_AT_ONCE:
            messages.error(request, f"Too many keys are selected. Select up to {MAX_AT_ONCE}.")
            return []
        return self.filter_permitted(request, keys.select_related("owner"), action)

    def _form_page(
        self, request: HttpRequest, page: str, form: Form, context: dict[str, Any], status: int = 400
    ) -> HttpResponse:
        """Show the page that names the keys, with this status if the submitted form is invalid."""
        context = {**self.admin_site.each_context(request), "opts": self.opts, "form": form, **context}
        return render(request, f"admin/apikeys/{page}.html", context, status=status if form.is_bound else 200)


def _initial(draft: Draft | None, field: str) -> dict[str, str]:
    """Return what the operator had typed into this field before a fresh log-in interrupted."""
    return {field: draft.first(field)} if draft else {}
