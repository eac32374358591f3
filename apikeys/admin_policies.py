"""The operators' policies in the admin site: one row for each environment, whether or not the database has one."""

from typing import Any, ClassVar, Final

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from typing_extensions import override

from accounts.fresh_login import require_fresh_login
from accounts.operators import OperatorAdmin
from accounts.way_back import WayBack
from apikeys import services
from apikeys.admin_forms import PolicyForm
from apikeys.models import Environment, KeyPolicy
from apikeys.policy_effects import allows_more, outside_keys
from audit.models import Event
from audit.origin import Origin

BOUNDS: Final = PolicyForm.Meta.fields


class PolicyList(ChangeList):
    """The policies of all environments. Without a row, a policy bounds nothing."""

    @override
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        written = {policy.pk: policy for policy in self.result_list}
        self.result_list = [written.get(name) or KeyPolicy(environment=name) for name in Environment.values]
        self.result_count = self.full_result_count = len(self.result_list)


class KeyPolicyAdmin(OperatorAdmin):
    """The policies. There is always one for each environment, so none is added or deleted."""

    form = PolicyForm
    fields = BOUNDS
    list_display = ("environment", "lifetime", "never", "default", "reveal", "most", "outside", "is_as_written")
    sortable_by = ()
    ordering = ("environment",)
    change_form_template = "admin/apikeys/policy.html"
    subject_type = "policy"
    ways_back: ClassVar = {"change": WayBack(press="Save", keepable=BOUNDS)}

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @override
    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return PolicyList

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Key policies", **(extra_context or {})})

    @override
    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> KeyPolicy | None:
        """Return the policy of an environment, which bounds nothing if it has no row; None if that is none."""
        if object_id not in Environment.values:
            return None
        return super().get_object(request, object_id, from_field) or KeyPolicy(environment=object_id)

    @override
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the form, with what the policy means for the keys that exist."""
        policy = self.get_object(request, object_id) if self.has_view_permission(request) else None
        context: dict[str, Any] = {"show_save_and_continue": False, "subtitle": None}
        if policy is not None:
            intact = self.is_as_written(policy)
            name = policy.get_environment_display()
            context |= {"title": f"Policy for {name.lower()} keys", "is_as_written": intact}
            context["outside"] = outside_keys(policy) if intact else None
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @override
    def save_model(self, request: HttpRequest, obj: KeyPolicy, form: Any, change: bool) -> None:
        before = KeyPolicy.objects.filter(pk=obj.pk).first() or KeyPolicy(environment=obj.pk)
        if allows_more(obj, before):
            require_fresh_login(request)
        services.set_policy(policy=obj, origin=Origin.of_request(request))

    @override
    def response_change(self, request: HttpRequest, obj: KeyPolicy) -> HttpResponse:
        """Say what was saved, and what is outside of it."""
        messages.success(request, f"The policy for {obj.pk} keys is saved.")
        if outside := outside_keys(obj).words:
            messages.warning(request, f"Outside of it, and left as they are: {outside}.")
        return redirect("admin:apikeys_keypolicy_changelist")

    @override
    def note_on(self, event: Event) -> str:
        """Return the bounds that were set."""
        bounds = event.details if isinstance(event.details, dict) else {}
        labels = {field.name: field.verbose_name for field in KeyPolicy._meta.concrete_fields}
        return ", ".join(f"{labels[name]}: {_in_words(bounds[name])}" for name in BOUNDS if name in bounds)

    @admin.display(description="maximum lifetime")
    def lifetime(self, policy: KeyPolicy) -> str:
        """Return how far ahead an expiry may be set."""
        return "no limit" if policy.max_days is None else f"{policy.max_days} days"

    @admin.display(description="may never expire", boolean=True)
    def never(self, policy: KeyPolicy) -> bool:
        """Return whether keys may have no expiry."""
        return bool(policy.allows_never)

    @admin.display(description="default expiry")
    def default(self, policy: KeyPolicy) -> str:
        """Return the expiry of a key for which none is chosen."""
        return "never" if policy.default_days is None else f"{policy.default_days} days"

    @admin.display(description="may be revealed", boolean=True)
    def reveal(self, policy: KeyPolicy) -> bool:
        """Return whether secrets may be shown again."""
        return bool(policy.allows_reveal)

    @admin.display(description="most keys")
    def most(self, policy: KeyPolicy) -> str:
        """Return how many keys a developer may have."""
        return "no limit" if policy.max_keys is None else str(policy.max_keys)

    @admin.display(description="keys outside")
    def outside(self, policy: KeyPolicy) -> str:
        """Return how many keys have what the policy would not give them now."""
        return f"{outside_keys(policy).keys:,}" if self.is_as_written(policy) else "unknown"

    @admin.display(description="row seal matches", boolean=True)
    def is_as_written(self, policy: KeyPolicy) -> bool:
        """Return whether the row is as the portal wrote it. If not, the policy allows nothing until it is saved."""
        return policy._state.adding or policy.seal_is_valid()


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
