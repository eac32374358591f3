"""Keys in the admin site: operators inspect, pause, revoke and limit them, and never see a secret.

What they may do with several keys at once is in `admin_actions.py`, the policies are in `admin_policies.py`, and the
suspension of new credentials in `admin_issuing.py`. Operators
find a key by its secret on the page that finds every kind of credential (`tokens/find_pages.py`).
"""

from datetime import datetime
from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from typing_extensions import override

from accounts.models import IssuingState, User
from accounts.times import in_words
from accounts.way_back import WayBack
from apikeys import usage
from apikeys.admin_actions import KeyActions
from apikeys.admin_issuing import IssuingAdmin
from apikeys.admin_policies import KeyPolicyAdmin
from apikeys.models import APIKey, KeyPolicy, KeySecret, live_secrets

admin.site.register(KeyPolicy, KeyPolicyAdmin)
admin.site.register(IssuingState, IssuingAdmin)


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
class APIKeyAdmin(KeyActions):
    """Keys, filtered by state and environment, and searched by id, name, owner or hint."""

    list_display = ("name", "owner", "state", "last_used", "expires_at", "environment", "hints", "id", "seal_is_valid")
    list_filter = (StateFilter, "environment", "created_at")
    search_fields = ("=id", "name", "owner__email", "secrets__hint")
    search_help_text = "Key id, name, owner's e-mail, or the last four characters of a secret."
    list_select_related = ("owner",)
    ordering = ("-created_at",)
    fields = (
        *("id", "name", "owner", "environment", "secret_lines", "state", "pause", "scopes", "networks", "rate_limit"),
        *("created_at", "expires_at", "last_use", "revoked_at", "revoked_reason", "version", "seal_is_valid"),
    )
    readonly_fields = ("hints", "secret_lines", "state", "pause", "last_used", "last_use", "seal_is_valid")
    change_list_template = "admin/credentials_list.html"
    subject_type = "key"
    ways_back: ClassVar = {
        "changelist": WayBack(keepable=("action", "_selected_action", "reason", "until", "limit")),
    }

    @override
    def owner_of(self, obj: APIKey) -> User:
        return obj.owner

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[APIKey]:
        """Return the keys, with their live secrets prefetched and `used_at` annotated."""
        return APIKey.objects.prefetch_related(live_secrets()).annotate(used_at=usage.last_use())

    @admin.display(description="hints")
    def hints(self, key: APIKey) -> str:
        """Return the hints of the secrets that are not retired, the only part of a secret that may be shown."""
        return ", ".join(secret.hint for secret in key.secrets.all())

    @admin.display(description="secrets")
    def secret_lines(self, key: APIKey) -> str:
        """Return a line for each secret that is not retired, the newest first, and the number of the others."""
        live = [f"{secret.hint}, {_life_of(secret)}" for secret in key.secrets.all()]
        retired = KeySecret.objects.filter(key=key).retired().count()
        return "\n".join([*live, *([f"{retired} retired"] if retired else [])])

    @admin.display(description="pause")
    def pause(self, key: APIKey) -> str:
        """Return since and until when the key is paused, by whom and why."""
        if key.paused_at is None:
            return "not paused"
        by = "an operator" if key.paused_by_operator else "its owner"
        end = in_words(key.paused_until) if key.paused_until else "it is resumed"
        over = "" if key.is_paused else ", so it is over"
        lines = [f"Since {in_words(key.paused_at)}, by {by}", f"Until {end}{over}"]
        return "\n".join([*lines, *([f"Reason: {key.paused_reason}"] if key.paused_reason else [])])

    @admin.display(description="last used", ordering="used_at", empty_value="never")
    def last_used(self, key: APIKey) -> datetime | None:
        """Return when the key, or a token that it was exchanged for, was last accepted; None for never."""
        at: datetime | None = key.used_at  # type: ignore[attr-defined]  # annotated in get_queryset
        return at

    @admin.display(description="last used")
    def last_use(self, key: APIKey) -> str:
        """Return the same in words: only a list formats times, and shows its empty value."""
        at = self.last_used(key)
        return in_words(at) if at else "never"

    @admin.display(boolean=True, description="row seal matches")
    def seal_is_valid(self, key: APIKey) -> bool:
        """Return whether the row is as the portal wrote it. If not, the key is refused."""
        return key.seal_is_valid()


def _life_of(secret: KeySecret) -> str:
    """Return since or until when a secret works."""
    if secret.retires_at is None:
        return f"in use since {in_words(secret.created_at)}"
    return f"replaced, retires on {in_words(secret.retires_at)}"
