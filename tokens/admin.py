"""Signed tokens in the admin site: audiences, log-ins and how to end them, and revocations."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from typing_extensions import override

from accounts.models import User
from accounts.operators import OperatorAdmin, ReadOnlyAdmin, operators_page
from accounts.way_back import WayBack, way_back
from audit.models import Event
from audit.origin import Origin
from tokens import find_pages, services
from tokens.forms import AudienceForm
from tokens.models import Audience, RevokedToken, TokenFamily

ENDED = "ended by an operator"


@admin.register(TokenFamily)
class TokenFamilyAdmin(ReadOnlyAdmin):
    """Log-ins by password and the tokens issued from them, newest first."""

    list_display = ("id", "user", "address", "started_at", "refreshed_at", "expires_at", "ended_at", "seal_is_valid")
    list_filter = (("ended_at", admin.EmptyFieldListFilter), "started_at")
    search_fields = ("=id", "user__email", "=address")
    search_help_text = "Family id (the `sid` of a token), owner's e-mail, or exact address."
    list_select_related = ("user",)
    ordering = ("-started_at",)
    fields = (*list_display[:-1], "agent", "ended_reason", "scopes", "audience", "epoch", "seal_is_valid")
    readonly_fields = ("seal_is_valid",)
    actions = ("end",)
    change_list_template = "admin/credentials_list.html"

    @override
    def owner_of(self, obj: TokenFamily) -> User:
        return obj.user

    @override
    def trail_of(self, row: TokenFamily) -> QuerySet[Event]:
        """Return the events of this log-in, which are recorded under its user."""
        mine = Event.objects.filter(subject_type="user", subject_id=row.user_id)
        return mine.filter(details__family=row.pk)

    @admin.display(boolean=True, description="row seal matches")
    def seal_is_valid(self, family: TokenFamily) -> bool:
        """Return whether the row is as the portal wrote it. If not, its tokens are refused."""
        return family.seal_is_valid()

    @admin.action(permissions=["act"], description="End: refresh token and access tokens are refused")
    def end(self, request: HttpRequest, queryset: QuerySet[TokenFamily]) -> None:
        """End each of the families."""
        origin = Origin.of_request(request)
        families = self.filter_permitted(request, queryset.select_related("user"), "end_family")
        ended = sum(services.end_family(family=family, reason=ENDED, origin=origin) for family in families)
        messages.success(request, f"{ended} ended.")

    def has_find_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may see any of what a search can find."""
        return any(map(request.user.has_perm, find_pages.VIEW_PERMISSIONS))

    @operators_page("find/", permission="find")
    @way_back(press="Find")
    def find(self, request: HttpRequest) -> HttpResponse:
        """Show the search form, and what the pasted credential belongs to."""
        return find_pages.find(self, request)

    @operators_page("find/end/", permission="find")
    @way_back(page=find_pages.FIND, press="Find")
    def find_end(self, request: HttpRequest) -> HttpResponse:
        """End the credential that the search found."""
        return find_pages.end_finding(self, request)


@admin.register(Audience)
class AudienceAdmin(OperatorAdmin):
    """Add, change and remove audiences. A URI never changes, because tokens and log-ins name it."""

    form = AudienceForm
    fields = ("uri", "description")
    list_display = ("uri", "description", "created_at", "seal_is_valid")
    search_fields = ("uri", "description")
    subject_type = "audience"
    ways_back: ClassVar = dict.fromkeys(("add", "change"), WayBack(press="Save", keepable=("uri", "description")))

    @admin.display(boolean=True, description="row seal matches")
    def seal_is_valid(self, audience: Audience) -> bool:
        """Return whether the row is as the portal wrote it. If not, no token is issued for it."""
        return audience.seal_is_valid()

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Audience | None = None) -> tuple[str, ...]:
        """Return the read-only fields: the URI, once the audience exists."""
        return ("uri",) if obj else ()

    @override
    def save_model(self, request: HttpRequest, obj: Audience, form: Any, change: bool) -> None:
        """Add the audience or change its description. The admin then links to the row by its id."""
        origin = Origin.of_request(request)
        if change:
            services.change_audience(audience=obj, description=obj.description, origin=origin)
        else:
            obj.pk = services.add_audience(uri=obj.uri, description=obj.description, origin=origin).pk

    @override
    def delete_model(self, request: HttpRequest, obj: Audience) -> None:
        services.remove_audience(audience=obj, origin=Origin.of_request(request))

    @override
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Audience]) -> None:
        for audience in queryset:
            services.remove_audience(audience=audience, origin=Origin.of_request(request))


@admin.register(RevokedToken)
class RevokedTokenAdmin(ReadOnlyAdmin):
    """Tokens revoked before they expire. The purge deletes a row once its token would be refused as expired anyway."""

    list_display = ("token_id", "issuer", "revoked_at", "expires_at")
    fields = list_display
    search_fields = ("=token_id",)
    search_help_text = "The `jti` or `sid` of a token."
    ordering = ("-revoked_at",)
    show_full_result_count = False
