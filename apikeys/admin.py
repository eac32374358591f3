"""Keys for operators: look, revoke, limit. Never a secret, no reveal. Every write is a verb of `apikeys.services`.

A key is found by its secret where every kind of credential is (`tokens/find_pages.py`).
"""

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.drafts import Draft, take_draft
from accounts.fresh_login import require_fresh_login
from accounts.models import User
from accounts.operators import ReadOnlyAdmin
from accounts.origin import Origin
from accounts.way_back import WayBack
from apikeys import services, usage
from apikeys.admin_forms import LimitForm, ReasonForm
from apikeys.errors import APIKeyError
from apikeys.models import APIKey
from apikeys.widening import widened

MOST_AT_ONCE = 200
"""Keys that a confirmation names; as many as a list shows at most."""
REVOKED_BY_OPERATOR = "revoked by an operator"
ASKING = ("revoke_keys", "limit_keys")
"""Actions that show a page with a form before they do anything."""


class StateFilter(admin.SimpleListFilter):
    """By `APIKey.state`."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        """Give the states."""
        return [(state, state.title()) for state in ("active", "paused", "expired", "revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> QuerySet[APIKey]:
        """Select the keys in the chosen state."""
        return queryset & APIKey.objects.in_state(self.value() or "") if self.value() else queryset


@admin.register(APIKey)
class APIKeyAdmin(ReadOnlyAdmin):
    """Keys by owner, state and environment; found by a hint, the id, the name or the owner."""

    list_display = ("name", "owner", "state", "last_used", "expires_at", "environment", "hints", "id", "intact")
    list_filter = (StateFilter, "environment", "created_at")
    search_fields = ("=id", "name", "owner__email", "secrets__hint")
    search_help_text = "Key id, name, owner's e-mail, or the last four characters of a secret."
    list_select_related = ("owner",)
    ordering = ("-created_at",)
    fields = ("id", "name", "owner", "environment", "hints", "state", "scopes", "networks", "created_at", "expires_at")
    readonly_fields = ("hints", "state", "last_used", "intact")
    actions = ("revoke_keys", "limit_keys")
    change_list_template = "admin/credentials_list.html"
    subject_type = "key"
    ways_back: ClassVar = {
        "changelist": WayBack(keepable=("action", "_selected_action", "reason", "limit")),
    }

    def owner_of(self, obj: APIKey) -> User:
        """Return whose key it is."""
        return obj.owner

    def get_queryset(self, request: HttpRequest) -> QuerySet[APIKey]:
        """Give the keys with their secrets' hints and their last use at hand."""
        return APIKey.objects.prefetch_related("secrets").annotate(used_at=usage.last_use())

    def get_fields(self, request: HttpRequest, obj: APIKey | None = None) -> tuple[str, ...]:
        """Give what the page of one key shows."""
        return (*self.fields, "paused_at", "revoked_at", "revoked_reason", "rate_limit", "intact")

    @admin.display(description="hints")
    def hints(self, key: APIKey) -> str:
        """Show what may be shown of its secrets."""
        return ", ".join(secret.hint for secret in key.secrets.all())

    @admin.display(description="last used", ordering="used_at", empty_value="never")
    def last_used(self, key: APIKey) -> datetime | None:
        """Tell when it was last used with success, by itself or by a token that it was swapped for."""
        at: datetime | None = key.used_at  # type: ignore[attr-defined]  # annotated in get_queryset
        return at

    @admin.display(boolean=True, description="row seal fits")
    def intact(self, key: APIKey) -> bool:
        """Tell whether the row is as the portal wrote it; if not, the key is refused."""
        return key.is_intact()

    @admin.action(permissions=["act"], description="Revoke for good")
    def revoke_keys(
        self, request: HttpRequest, queryset: QuerySet[APIKey], draft: Draft | None = None
    ) -> HttpResponse | None:
        """Ask once, naming the keys, then revoke each."""
        keys = self._chosen(request, queryset, "revoke")
        form = ReasonForm(request.POST if "reason" in request.POST else None, initial=_typed(draft, "reason"))
        if not keys:
            return None
        if not form.is_valid():
            recent = usage.evidence([key.pk for key in keys])
            chosen = [(key, recent[key.pk]) for key in keys]
            return self._ask(request, "revoke", form, {"chosen": chosen, "title": "Revoke keys"})
        reason, origin = form.cleaned_data["reason"] or REVOKED_BY_OPERATOR, Origin.of_request(request)
        revoked = sum(services.revoke(key=key, reason=reason, origin=origin) for key in keys)
        messages.success(request, f"{revoked} revoked.")
        return None

    @admin.action(permissions=["act"], description="Set the rate limit")
    def limit_keys(
        self, request: HttpRequest, queryset: QuerySet[APIKey], draft: Draft | None = None
    ) -> HttpResponse | None:
        """Ask for the limit, naming the keys, then set it on each; a higher one needs a fresh log-in."""
        keys = self._chosen(request, queryset, "limit_key")
        form = LimitForm(request.POST if "limit" in request.POST else None, initial=_typed(draft, "limit"))
        if not keys:
            return None
        context = {"keys": keys, "title": "Set the rate limit", "default": settings.KEYPORTAL_RATE_LIMIT}
        if not form.is_valid():
            return self._ask(request, "limit", form, context)
        limit, origin = form.cleaned_data["limit"], Origin.of_request(request)
        if any(widened(key, {"rate_limit": limit}) for key in keys):
            require_fresh_login(request)
        try:
            changed = sum(services.limit_key(key=key, limit=limit, origin=origin) for key in keys)
        except APIKeyError as error:
            form.add_error(None, str(error))
            return self._ask(request, "limit", form, context, status=409)
        messages.success(request, f"{changed} changed.")
        return None

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list; after a log-in that came in between, the page again that had asked about chosen keys."""
        may_see = request.method == "GET" and self.has_view_permission(request)
        draft = take_draft(request) if may_see else None
        if draft is None:
            return super().changelist_view(request, extra_context)
        name = draft.first("action")
        asks = name in ASKING and name in self.get_actions(request)
        messages.warning(request, draft.message(typed=asks))
        if not asks:
            return super().changelist_view(request, extra_context)
        chosen = filter(str.isprintable, draft.fields["_selected_action"])
        page: HttpResponse = getattr(self, name)(request, self.get_queryset(request).filter(pk__in=list(chosen)), draft)
        return page

    def _chosen(self, request: HttpRequest, keys: QuerySet[APIKey], action: str) -> list[APIKey]:
        """Return the keys to act on; none, and a message, for more than a form can name."""
        if keys.count() > MOST_AT_ONCE:
            messages.error(request, f"These are too many to name at once: choose up to {MOST_AT_ONCE}.")
            return []
        return self.permitted(request, keys.select_related("owner"), action)

    def _ask(
        self, request: HttpRequest, page: str, form: Form, context: dict[str, Any], status: int = 400
    ) -> HttpResponse:
        """Show the page that names the keys; with the status if what was filled in is not right."""
        context = {**self.admin_site.each_context(request), "opts": self.opts, "form": form, **context}
        return render(request, f"admin/apikeys/{page}.html", context, status=status if form.is_bound else 200)


def _typed(draft: Draft | None, field: str) -> dict[str, str]:
    """Return what had been typed before a log-in came in between, for a form's field."""
    return {field: draft.first(field)} if draft else {}
