"""Operators suspend the issuing of credentials in the admin site, and resume it: always one row, never another."""

from datetime import datetime
from typing import Any, ClassVar, Final

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from typing_extensions import override

from accounts.fresh_login import require_fresh_login
from accounts.issuing import SUBJECT, current_suspension
from accounts.models import IssuingState
from accounts.operators import OperatorAdmin
from accounts.services import resume_issuing, suspend_issuing
from accounts.times import in_words
from accounts.way_back import WayBack
from apikeys.admin_forms import IssuingForm
from audit.models import Event
from audit.origin import Origin

FIELDS: Final = ("issue", "reason", "until", "allows_rotation")


class IssuingList(ChangeList):
    """The one row, whether or not the database has it."""

    @override
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)[:1] or [IssuingState()]
        self.result_count = self.full_result_count = 1


class IssuingAdmin(OperatorAdmin):
    """Whether new credentials are issued. A change needs a fresh log-in."""

    form = IssuingForm
    fields = FIELDS
    list_display = ("new_credentials", "ends", "rotation", "why")
    sortable_by = ()
    change_form_template = "admin/accounts/issuing.html"
    ways_back: ClassVar = {"change": WayBack(press="Save", keepable=FIELDS)}

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @override
    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return IssuingList

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "New credentials", **(extra_context or {})})

    @override
    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields of the form; for an operator who may only see it, what holds now."""
        return FIELDS if self.has_change_permission(request, obj) else self.list_display

    @override
    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> IssuingState | None:
        """Return the row, or one that issues if the database has none; None for any other id."""
        return super().get_object(request, object_id, from_field) or IssuingState() if object_id == "1" else None

    @override
    @override
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the form, with what a suspension does."""
        context: dict[str, Any] = {"show_save_and_continue": False, "subtitle": None, "title": "New credentials"}
        suspension = current_suspension() if self.has_view_permission(request) else None
        context["is_tampered"] = suspension is not None and suspension.is_tampered
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @override
    def save_model(self, request: HttpRequest, obj: IssuingState, form: Any, change: bool) -> None:
        """Suspend or resume, after a fresh log-in."""
        require_fresh_login(request)
        chosen, origin = dict(form.cleaned_data), Origin.of_request(request)
        if chosen.pop("issue") == "off":
            suspend_issuing(origin=origin, **chosen)
        else:
            resume_issuing(origin=origin)

    @override
    def response_change(self, request: HttpRequest, obj: IssuingState) -> HttpResponse:
        """Say what holds now."""
        suspension = current_suspension()
        if suspension is None:
            messages.success(request, "New credentials are issued.")
        else:
            messages.warning(request, suspension.sentence)
        return redirect("admin:accounts_issuingstate_changelist")

    @override
    def trail_of(self, row: IssuingState) -> QuerySet[Event]:
        """Return the events for the history."""
        return Event.objects.filter(subject_type=SUBJECT[0], subject_id=SUBJECT[1])

    @override
    def name_of(self, row: IssuingState) -> str:
        return "new credentials"

    @override
    def note_on(self, event: Event) -> str:
        """Return until when, and whether secrets could be replaced."""
        about = event.details if isinstance(event.details, dict) else {}
        parts = [f"until {in_words(datetime.fromisoformat(about['until']))}" if about.get("until") else ""]
        parts.append("rotation allowed" if about.get("allows_rotation") else "")
        return ", ".join(filter(None, parts))

    @admin.display(description="new credentials")
    def new_credentials(self, state: IssuingState) -> str:
        """Return whether they are issued."""
        suspension = current_suspension()
        if suspension is None:
            return "issued"
        return "suspended: the row was changed outside the portal" if suspension.is_tampered else "suspended"

    @admin.display(description="until")
    def ends(self, state: IssuingState) -> str:
        """Return when a suspension ends by itself."""
        suspension = current_suspension()
        return in_words(suspension.until) if suspension and suspension.until else "-"

    @admin.display(description="rotation", boolean=True)
    def rotation(self, state: IssuingState) -> bool:
        """Return whether secrets can be replaced."""
        suspension = current_suspension()
        return suspension is None or suspension.allows_rotation

    @admin.display(description="reason")
    def why(self, state: IssuingState) -> str:
        """Return the reason that everyone is told."""
        suspension = current_suspension()
        return suspension.reason if suspension else "-"
