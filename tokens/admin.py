"""Signed tokens for operators: log-ins that can be ended, what is revoked, when the last purge ran."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accounts.models import AuditEvent, User
from accounts.operators import ReadOnlyAdmin, operators_page
from accounts.origin import Origin
from accounts.way_back import way_back
from tokens import find_pages, services
from tokens.models import Housekeeping, RevokedToken, TokenFamily

ENDED = "ended by an operator"


@admin.register(TokenFamily)
class TokenFamilyAdmin(ReadOnlyAdmin):
    """Log-ins by password and the tokens that come from them, newest first."""

    list_display = ("id", "user", "address", "started_at", "refreshed_at", "expires_at", "ended_at", "intact")
    list_filter = (("ended_at", admin.EmptyFieldListFilter), "started_at")
    search_fields = ("=id", "user__email", "=address")
    search_help_text = "Family id (the `sid` of a token), owner's e-mail, or exact address."
    list_select_related = ("user",)
    ordering = ("-started_at",)
    fields = (*list_display[:-1], "agent", "ended_reason", "scopes", "epoch", "intact")
    readonly_fields = ("intact",)
    actions = ("end",)
    change_list_template = "admin/credentials_list.html"

    def owner_of(self, obj: TokenFamily) -> User:
        """Return who logged in."""
        return obj.user

    def trail_of(self, row: TokenFamily) -> QuerySet[AuditEvent]:
        """Select the events of this log-in from its user's."""
        mine = AuditEvent.objects.filter(subject_type="user", subject_id=row.user_id)
        return mine.filter(details__family=row.pk)

    @admin.display(boolean=True, description="row seal fits")
    def intact(self, family: TokenFamily) -> bool:
        """Tell whether the row is as the portal wrote it; if not, its tokens are refused."""
        return family.is_intact()

    @admin.action(permissions=["act"], description="End: refresh token and access tokens are refused")
    def end(self, request: HttpRequest, queryset: QuerySet[TokenFamily]) -> None:
        """End each family."""
        origin = Origin.of_request(request)
        families = self.permitted(request, queryset.select_related("user"), "end_family")
        ended = sum(services.end_family(family=family, reason=ENDED, origin=origin) for family in families)
        messages.success(request, f"{ended} ended.")

    def has_find_permission(self, request: HttpRequest) -> bool:
        """Tell whether the operator may see anything that a search can find."""
        return any(map(request.user.has_perm, find_pages.SEEING))

    @operators_page("find/", permission="find")
    @way_back(press="Find")
    def find(self, request: HttpRequest) -> HttpResponse:
        """Show the form, and what a pasted credential is traced to."""
        return find_pages.find(self, request)

    @operators_page("find/end/", permission="find")
    @way_back(page=find_pages.FIND, press="Find")
    def find_end(self, request: HttpRequest) -> HttpResponse:
        """End what was found."""
        return find_pages.end_found(self, request)


@admin.register(RevokedToken)
class RevokedTokenAdmin(ReadOnlyAdmin):
    """What is refused before its time. A row goes by itself when nobody could accept the token any more."""

    list_display = ("token_id", "issuer", "revoked_at", "expires_at")
    fields = list_display
    search_fields = ("=token_id",)
    search_help_text = "The `jti` or `sid` of a token."
    ordering = ("-revoked_at",)
    show_full_result_count = False


@admin.register(Housekeeping)
class HousekeepingAdmin(ReadOnlyAdmin):
    """When expired rows were last purged: by `purge` (cron), or a little by the portal itself."""

    list_display = ("task", "started_at", "finished_at", "by", "removed")
    fields = list_display
