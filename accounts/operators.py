"""The base classes of the operators' site, in which each action, page and write names the permission that it needs.

- Viewing needs `view_…`, acting `view_…` and `change_…`, adding `add_…` and deleting `delete_…` of the model.
- Operators can't act on an account with more rights than their own, or on anything that belongs to it.
- Filters, ordering, search and URLs reach only the fields that a page shows: a filter on the password hash would reveal
  it character by character.
- Refusals are recorded. Django's own admin log is not kept, because the audit trail holds everything.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin.filters import FieldListFilter, SimpleListFilter
from django.contrib.admin.utils import get_fields_from_path, unquote
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.debug import sensitive_post_parameters
from typing_extensions import override

from accounts.leaks import holds_secret
from accounts.models import User
from accounts.rights import ActionRefusedError, may_act_on
from audit.event_types import EventType
from audit.models import Event
from audit.origin import Origin
from audit.services import record_event

Page = Callable[..., HttpResponse]
EVENTS = 50
MISPLACED = (
    "Searches appear in addresses, where no secret belongs. Use “Find a credential” on the list of API keys instead."
)
DATE_PARTS = ("year", "month", "day")


def operators_page(route: str, *, permission: str) -> Callable[[Page], Page]:
    """Make a method a page below the model's list. `permission` names a `has_<permission>_permission` method."""

    def decorate(page: Page) -> Page:
        page.operators_route, page.operators_permission = route, permission  # type: ignore[attr-defined]
        return page

    return decorate


class OperatorAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """The base class for a model in the operators' site."""

    view_on_site = False
    show_facets = admin.ShowFacets.NEVER
    object_history_template = "admin/trail.html"
    subject_type: ClassVar[str] = ""
    """The subject type of a row in the audit trail; empty if there are no events about its rows."""

    @override
    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether the operator may view this model. Unlike in Django, the right to change does not suffice."""
        return self._has_right(request, "view")

    @override
    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether the operator may edit rows of this model in its form."""
        return self._has_right(request, "view") and self._has_right(request, "change")

    def has_act_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether the operator may carry out this model's actions, on this row if one is given."""
        allowed = self._has_right(request, "view") and self._has_right(request, "change")
        return allowed and (obj is None or may_act_on(operator_of(request), self.owner_of(obj)))

    def owner_of(self, obj: Any) -> User | None:
        """Return the account that a row belongs to; None if it belongs to no account."""
        return None

    def filter_permitted(self, request: HttpRequest, rows: QuerySet[Any], action: str) -> list[Any]:
        """Return the rows that the operator may act on. Refused ones are recorded, and a message gives their number."""
        allowed: list[Any] = []
        refused: list[Any] = []
        for row in rows:
            (allowed if self.has_act_permission(request, row) else refused).append(row)
        for row in refused:
            self._record_refusal(request, row, action)
        if refused:
            messages.error(request, f"{len(refused)} skipped: the account has more rights than you.")
        return allowed

    @override
    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the actions that the operator may carry out. An action without a permission is never offered."""
        offered = super().get_actions(request)
        return {name: action for name, action in offered.items() if _permissions(action)}

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, or carry out an action. Raises `ActionRefusedError` for an action that was not offered."""
        refused = set(filter(None, request.POST.getlist("action"))) - set(self.get_actions(request))
        if refused:
            known = refused & {*map(str, self.actions or ()), *(name for name, _ in self.admin_site.actions)}
            raise ActionRefusedError(" ".join(sorted(known)) or "unknown", self.opts.label_lower)
        if any(holds_secret(str(value)) for value in request.GET.values()):
            messages.warning(request, MISPLACED)
            return redirect(request.path)
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    @override
    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the lookups of the list's own filters only. Raises `SuspiciousOperation`, which quotes no value."""
        if request is not None and lookup in set(self._filter_parameters(request)):
            return True
        raise SuspiciousOperation("a filter that this list does not offer")

    @override
    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """Allow the primary key only. Raises `SuspiciousOperation` for any other field."""
        if to_field == self.opts.pk.name:
            return True
        raise SuspiciousOperation("a field that names no row")

    @override
    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the audit events of a row to operators who may view the trail."""
        if not (self.has_view_permission(request) and request.user.has_perm("audit.view_event")):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        page = Paginator(self.trail_of(row).order_by("-at", "-id"), EVENTS).get_page(request.GET.get("p"))
        lines = [(event, self.note_on(event)) for event in page]
        context = {**self.admin_site.each_context(request), "title": f"History of {self.name_of(row)}", "page": page}
        context |= {"opts": self.opts, "object": row, "lines": lines}
        return TemplateResponse(request, self.object_history_template, context)

    def trail_of(self, row: Any) -> QuerySet[Event]:
        """Return the events for a row's history."""
        return Event.objects.filter(subject_type=self.subject_type, subject_id=row.pk)

    def name_of(self, row: Any) -> str:
        """Return what the history calls a row."""
        return str(row.pk)

    def note_on(self, event: Event) -> str:
        """Return what the history says of an event besides its sentence and its reason; empty for nothing."""
        return ""

    @override
    def get_urls(self) -> list[URLPattern]:
        """Return the URLs with the extra pages, each guarded by the permission that it names."""
        prefix = f"{self.opts.app_label}_{self.opts.model_name}"
        pages = [
            path(page.operators_route, self.admin_site.admin_view(self._guard(page)), name=f"{prefix}_{page.__name__}")
            for page in self.pages()
        ]
        return [*pages, *super().get_urls()]

    def pages(self) -> list[Any]:
        """Return the methods that `operators_page` made pages."""
        found = (
            getattr(self, name) for name in dir(type(self)) if hasattr(getattr(type(self), name), "operators_route")
        )
        return list(found)

    @override
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Do nothing: the audit trail is the only log."""

    @override
    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Do nothing: the audit trail is the only log."""

    @override
    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Do nothing: the audit trail is the only log."""

    @override
    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:  # type: ignore[misc]  # unknown to the stubs
        # Django's own message would quote the URL, and the session would store it.
        raise Http404

    def _guard(self, page: Any) -> Page:
        @wraps(page)  # `accounts.way_back` reads the page's attributes
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not getattr(self, f"has_{page.operators_permission}_permission")(request):
                raise ActionRefusedError(page.__name__, self.opts.label_lower)
            response: HttpResponse = page(request, *args, **kwargs)
            return response

        return sensitive_post_parameters()(guarded)

    def _has_right(self, request: HttpRequest, right: str) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{right}_{self.opts.model_name}")

    def _record_refusal(self, request: HttpRequest, row: Any, action: str) -> None:
        owner = self.owner_of(row)
        subject = f"{self.subject_type}:{row.pk}" if self.subject_type else f"user:{owner.pk if owner else ''}"
        record_event(EventType.ACTION_REFUSED, subject=subject, origin=Origin.of_request(request), action=action)

    def _filter_parameters(self, request: HttpRequest) -> Iterator[str]:
        """Yield the URL parameters of the list's filters and its date hierarchy."""
        for item in self.get_list_filter(request):
            if isinstance(item, type) and issubclass(item, SimpleListFilter):
                yield item.parameter_name or ""
                continue
            name, kind = item if isinstance(item, (list, tuple)) else (item, FieldListFilter.create)
            field, build = get_fields_from_path(self.model, str(name))[-1], cast("Callable[..., Any]", kind)
            yield from build(field, request, {}, self.model, self, field_path=name).expected_parameters()
        yield from (f"{self.date_hierarchy}__{part}" for part in DATE_PARTS if self.date_hierarchy)


class ReadOnlyAdmin(OperatorAdmin):
    """A model whose rows can't be added, edited or deleted. Changes are possible by actions only."""

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False, because there is no form."""
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def _permissions(action: Any) -> Sequence[str]:
    function, _, _ = action
    named: Sequence[str] = getattr(function, "allowed_permissions", ())
    return named


def operator_of(request: HttpRequest) -> User:
    """Return the operator of a request. Raises `PermissionDenied` if no user is logged in."""
    user = request.user
    if not isinstance(user, User):
        raise PermissionDenied
    return user
