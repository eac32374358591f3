"""Keys for operators: find, look, revoke. Never a secret, no reveal. Every write is a verb of `apikeys.services`."""

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from accounts.admin import ReadOnlyAdmin
from accounts.origin import Origin
from apikeys import services
from apikeys.models import APIKey, KeySecret
from vault.secret_format import is_well_formed

CHANGE_LIST = "admin:apikeys_apikey_changelist"
REVOKED_BY_OPERATOR = "revoked by an operator"


class StateFilter(admin.SimpleListFilter):
    """By `APIKey.state`."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        """Give the states."""
        return [(state, state.title()) for state in ("active", "paused", "expired", "revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> QuerySet[APIKey]:
        """Select the keys in the chosen state."""
        return APIKey.objects.in_state(self.value() or "") & queryset if self.value() else queryset


@admin.register(APIKey)
class APIKeyAdmin(ReadOnlyAdmin):
    """Keys by owner, state and environment; found by a pasted secret, its hint, the id, the name or the owner."""

    list_display = ("id", "name", "owner", "environment", "hints", "state", "scopes", "created_at", "intact")
    list_filter = (StateFilter, "environment", "created_at")
    search_fields = ("=id", "name", "owner__email", "secrets__hint")
    search_help_text = "Key id, name, owner's e-mail, or the last four characters of a secret."
    list_select_related = ("owner",)
    ordering = ("-created_at",)
    fields = ("id", "name", "owner", "environment", "hints", "state", "scopes", "networks", "created_at", "expires_at")
    readonly_fields = ("hints", "state", "intact")
    actions = ("revoke_keys",)
    change_list_template = "admin/apikeys/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[APIKey]:
        """Give the keys with their secrets' hints at hand."""
        return APIKey.objects.prefetch_related("secrets")

    def get_fields(self, request: HttpRequest, obj: APIKey | None = None) -> tuple[str, ...]:
        """Give what the page of one key shows."""
        return (*self.fields, "paused_at", "revoked_at", "revoked_reason", "intact")

    @admin.display(description="hints")
    def hints(self, key: APIKey) -> str:
        """Show what may be shown of its secrets."""
        return ", ".join(secret.hint for secret in key.secrets.all())

    @admin.display(boolean=True, description="row seal fits")
    def intact(self, key: APIKey) -> bool:
        """Tell whether the row is as the portal wrote it; if not, the key is refused."""
        return key.is_intact()

    @admin.action(description="Revoke for good")
    def revoke_keys(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> HttpResponse | None:
        """Ask once, naming the keys, then revoke each."""
        if "reason" not in request.POST:
            context = {**admin.site.each_context(request), "keys": queryset, "title": "Revoke keys"}
            return render(request, "admin/apikeys/revoke.html", context)
        reason = request.POST["reason"].strip()[:200] or REVOKED_BY_OPERATOR
        origin = Origin.of_request(request)
        revoked = sum(services.revoke(key=key, reason=reason, origin=origin) for key in queryset)
        messages.success(request, f"{revoked} revoked.")
        return None

    def get_urls(self) -> list[URLPattern]:
        """Add the page that finds a key by its secret."""
        find = self.admin_site.admin_view(sensitive_post_parameters("secret")(self.find_by_secret))
        return [path("find/", find, name="apikeys_apikey_find"), *super().get_urls()]

    @sensitive_variables("text")
    def find_by_secret(self, request: HttpRequest) -> HttpResponse | HttpResponseRedirect:
        """Take a pasted secret by POST, so that it stands in no URL, and lead to its key."""
        if request.method == "POST":
            text = request.POST.get("secret", "").strip()
            known = is_well_formed(settings.KEYPORTAL_BRAND, text)
            found = KeySecret.objects.holding(text).first() if known else None
            if found is not None:
                return redirect("admin:apikeys_apikey_change", found.key_id)
            messages.warning(request, "No key has this secret." if known else "This is not a secret of this portal.")
        context = {**admin.site.each_context(request), "title": "Find a key by its secret"}
        return render(request, "admin/apikeys/find.html", context)
