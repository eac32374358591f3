"""The operators' pages for the scope catalogue and usage. Every write goes through `credentials.scopes.services`."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from typing_extensions import override

from accounts.hide_secrets import HideSecretsMixin
from accounts.operators import OperatorAdmin, ReadOnlyAdmin
from accounts.way_back import WayBack
from audit.origin import Origin
from credentials.scopes import services
from credentials.scopes.descriptions import clean_description
from credentials.scopes.models import BUILT_IN, Scope
from credentials.usage.models import SourceAddress, Usage


class ScopeForm(HideSecretsMixin, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The form in which an operator adds or changes a scope."""

    class Meta:
        model = Scope
        fields = ("name", "description", "restricted")

    def clean_description(self) -> str:
        """Return the description, cleaned. Raises `ValidationError`."""
        return clean_description(self.cleaned_data["description"])


@admin.register(Scope)
class ScopeAdmin(OperatorAdmin):
    """The scope catalogue. A scope is never renamed; removing it takes it from every key at once."""

    form = ScopeForm
    list_display = ("name", "description", "restricted", "created_at")
    list_filter = ("restricted",)
    search_fields = ("name", "description")
    subject_type = "scope"
    ways_back: ClassVar = dict.fromkeys(
        ("add", "change"), WayBack(press="Save", keepable=("name", "description", "restricted"))
    )

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Scope | None = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        return ("name", "restricted") if obj.name in BUILT_IN else ("name",)

    @override
    def save_model(self, request: HttpRequest, obj: Scope, form: Any, change: bool) -> None:
        origin = Origin.of_request(request)
        if change:
            services.change_scope(scope=obj, description=obj.description, restricted=obj.restricted, origin=origin)
        else:
            services.add_scope(name=obj.name, description=obj.description, restricted=obj.restricted, origin=origin)

    @override
    def delete_model(self, request: HttpRequest, obj: Scope) -> None:
        services.remove_scope(scope=obj, origin=Origin.of_request(request))

    @override
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Scope]) -> None:
        for scope in queryset:
            services.remove_scope(scope=scope, origin=Origin.of_request(request))


@admin.register(Usage)
class UsageAdmin(ReadOnlyAdmin):
    """Call counts by credential, hour, entry point and outcome."""

    list_display = ("hour", "credential", "count", "outcome", "entry_point")
    fields = list_display
    list_filter = ("entry_point", "outcome", "hour")
    search_fields = ("=credential",)
    search_help_text = "The id of a key, or of a user for the tokens of a log-in."
    ordering = ("-hour", "credential")
    show_full_result_count = False


@admin.register(SourceAddress)
class SourceAddressAdmin(ReadOnlyAdmin):
    """The addresses that credentials were used from."""

    list_display = ("last_at", "credential", "secret", "address", "first_at")
    fields = list_display
    search_fields = ("=credential", "=secret", "=address")
    search_help_text = "A key, a secret's row id, or an address."
    ordering = ("-last_at",)
    show_full_result_count = False
