"""Keys for operators: find, look, revoke. Never a secret, no reveal. Every write is a verb of `apikeys.services`."""

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from accounts.admin import ReadOnlyAdmin
from accounts.drafts import Draft, take_draft
from accounts.fresh_login import require_fresh_login
from accounts.origin import Origin
from accounts.way_back import WayBack, way_back
from apikeys import services, usage
from apikeys.errors import ChangedMeanwhileError
from apikeys.models import APIKey, KeySecret
from apikeys.widening import widened
from vault.secret_format import is_well_formed

CHANGE_LIST = "admin:apikeys_apikey_changelist"
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
    """Keys by owner, state and environment; found by a pasted secret, its hint, the id, the name or the owner."""

    list_display = ("name", "owner", "state", "last_used", "expires_at", "environment", "hints", "id", "intact")
    list_filter = (StateFilter, "environment", "created_at")
    search_fields = ("=id", "name", "owner__email", "secrets__hint")
    search_help_text = "Key id, name, owner's e-mail, or the last four characters of a secret."
    list_select_related = ("owner",)
    ordering = ("-created_at",)
    fields = ("id", "name", "owner", "environment", "hints", "state", "scopes", "networks", "created_at", "expires_at")
    readonly_fields = ("hints", "state", "last_used", "intact")
    actions = ("revoke_keys", "limit_keys")
    change_list_template = "admin/apikeys/change_list.html"
    ways_back: ClassVar = {
        "changelist": WayBack(keepable=("action", "_selected_action", "reason", "limit")),
    }

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

    @admin.action(description="Revoke for good")
    def revoke_keys(
        self, request: HttpRequest, queryset: QuerySet[APIKey], draft: Draft | None = None
    ) -> HttpResponse | None:
        """Ask once, naming the keys, then revoke each."""
        if "reason" not in request.POST:
            recent = usage.evidence([key.pk for key in queryset])
            chosen = [(key, recent[key.pk]) for key in queryset]
            context = {**admin.site.each_context(request), "chosen": chosen, "title": "Revoke keys"}
            context["reason"] = draft.first("reason") if draft else ""
            return render(request, "admin/apikeys/revoke.html", context)
        reason = "".join(filter(str.isprintable, request.POST["reason"])).strip()[:200] or REVOKED_BY_OPERATOR
        origin = Origin.of_request(request)
        revoked = sum(services.revoke(key=key, reason=reason, origin=origin) for key in queryset)
        messages.success(request, f"{revoked} revoked.")
        return None

    @admin.action(description="Set the rate limit")
    def limit_keys(
        self, request: HttpRequest, queryset: QuerySet[APIKey], draft: Draft | None = None
    ) -> HttpResponse | None:
        """Ask for the limit, naming the keys, then set it on each; a higher one needs a fresh log-in."""
        limit = request.POST.get("limit", draft.first("limit") if draft else "").strip()
        keys = list(queryset)
        context = {**admin.site.each_context(request), "keys": keys, "title": "Set the rate limit", "limit": limit}
        context["default"] = settings.KEYPORTAL_RATE_LIMIT
        if "limit" not in request.POST:
            return render(request, "admin/apikeys/limit.html", context)
        origin = Origin.of_request(request)
        try:
            if any(widened(key, {"rate_limit": limit}) for key in keys):
                require_fresh_login(request)
            changed = sum(services.limit_key(key=key, limit=limit, origin=origin) for key in keys)
        except ValueError:
            error = "This is not a limit. Write a number, a slash and second, minute, hour or day."
            return render(request, "admin/apikeys/limit.html", {**context, "error": error}, status=400)
        except ChangedMeanwhileError as error:
            return render(request, "admin/apikeys/limit.html", {**context, "error": str(error)}, status=409)
        messages.success(request, f"{changed} changed.")
        return None

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, str] | None = None) -> HttpResponse:
        """Show the list; after a log-in that came in between, the page again that had asked about chosen keys."""
        may_see = request.method == "GET" and self.has_view_or_change_permission(request)
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

    def get_urls(self) -> list[URLPattern]:
        """Add the page that finds a key by its secret."""
        find = self.admin_site.admin_view(sensitive_post_parameters("secret")(self.find_by_secret))
        return [path("find/", find, name="apikeys_apikey_find"), *super().get_urls()]

    @way_back(press="Find")
    @sensitive_variables("text")
    def find_by_secret(self, request: HttpRequest) -> HttpResponse | HttpResponseRedirect:
        """Take a pasted secret by POST, so that it stands in no URL, and lead to its key."""
        if request.method == "POST":
            text = request.POST.get("secret", "").strip()
            known = is_well_formed(settings.KEYPORTAL_BRAND, text)
            found = KeySecret.objects.holding(text).first() if known else None
            if found is not None:
                return redirect("admin:apikeys_apikey_change", quote(found.key_id))  # the admin reads "_3A" as ":"
            messages.warning(request, "No key has this secret." if known else "This is not a secret of this portal.")
        context = {**admin.site.each_context(request), "title": "Find a key by its secret"}
        return TemplateResponse(request, "admin/apikeys/find.html", context)
