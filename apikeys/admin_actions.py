"""What operators do with several keys at once in the admin site: pause, resume, revoke, limit.

Each action names the keys on a page of its own before it changes anything. Every write goes through
`apikeys.services`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from typing_extensions import override

from accounts.drafts import Draft, pop_draft
from accounts.fresh_login import require_fresh_login
from accounts.operators import ReadOnlyAdmin
from apikeys import services, usage
from apikeys.admin_forms import ConfirmForm, LimitForm, PauseKeysForm, ReasonForm
from apikeys.errors import APIKeyError
from apikeys.models import APIKey
from apikeys.usage import RecentUsage
from apikeys.widening import widened_columns
from audit.origin import Origin

MAX_AT_ONCE: Final = 200
"""The most keys that a confirmation page can name, and the most that a list shows."""
REVOKED_BY_OPERATOR: Final = "revoked by an operator"
ACTIONS_WITH_FORM: Final = {"pause_keys": True, "resume_keys": False, "revoke_keys": True, "limit_keys": True}
"""Actions that show a page before they change anything, and whether something is typed there."""


class KeyActions(ReadOnlyAdmin):
    """The actions of the list of keys."""

    actions = tuple(ACTIONS_WITH_FORM)

    @admin.action(permissions=["act"], description="Pause")
    def pause_keys(
        self, request: HttpRequest, queryset: QuerySet[APIKey], draft: Draft | None = None
    ) -> HttpResponse | None:
        """Show a form that names the keys and their use, then pause each of them, also those that owners had paused."""
        permitted = self._permitted_keys(request, queryset, "pause")
        keys = _without(request, permitted, lambda key: key.has_ended, "revoked or expired")
        form = PauseKeysForm(
            request.POST if "reason" in request.POST else None, initial=_initial(draft, "reason", "until")
        )
        if not keys:
            return None
        if not form.is_valid():
            return self._form_page(request, "pause", form, {"chosen": _with_usage(keys), "title": "Pause keys"})
        how = {**form.cleaned_data, "by_operator": True, "origin": Origin.of_request(request)}
        done = _act_on_each(request, keys, lambda key: services.pause(key=key, **how))
        messages.success(request, f"{done} paused.")
        return None

    @admin.action(permissions=["act"], description="Resume")
    def resume_keys(
        self, request: HttpRequest, queryset: QuerySet[APIKey], draft: Draft | None = None
    ) -> HttpResponse | None:
        """Show who paused the keys and why, then resume each of them, after a fresh log-in."""
        permitted = self._permitted_keys(request, queryset, "resume")
        keys = _without(request, permitted, lambda key: key.state != "paused", "not paused")
        form = ConfirmForm(request.POST if "confirmed" in request.POST else None)
        if not keys:
            return None
        if not form.is_valid():
            return self._form_page(request, "resume", form, {"keys": keys, "title": "Resume keys"})
        require_fresh_login(request)
        origin = Origin.of_request(request)
        done = _act_on_each(request, keys, lambda key: services.resume(key=key, by_operator=True, origin=origin))
        messages.success(request, f"{done} resumed.")
        return None

    @admin.action(permissions=["act"], description="Revoke for good")
    def revoke_keys(
        self, request: HttpRequest, queryset: QuerySet[APIKey], draft: Draft | None = None
    ) -> HttpResponse | None:
        """Show a confirmation that names the keys, then revoke each of them."""
        keys = self._permitted_keys(request, queryset, "revoke")
        form = ReasonForm(request.POST if "reason" in request.POST else None, initial=_initial(draft, "reason"))
        if not keys:
            return None
        if not form.is_valid():
            return self._form_page(request, "revoke", form, {"chosen": _with_usage(keys), "title": "Revoke keys"})
        reason, origin = form.cleaned_data["reason"] or REVOKED_BY_OPERATOR, Origin.of_request(request)
        revoked = sum(services.revoke(key=key, reason=reason, origin=origin) for key in keys)
        messages.success(request, f"{revoked} revoked.")
        return None

    @admin.action(permissions=["act"], description="Set the rate limit")
    def limit_keys(
        self, request: HttpRequest, queryset: QuerySet[APIKey], draft: Draft | None = None
    ) -> HttpResponse | None:
        """Show a form that names the keys, then set the limit on each. A higher limit needs a fresh log-in."""
        keys = self._permitted_keys(request, queryset, "set_rate_limit")
        form = LimitForm(request.POST if "limit" in request.POST else None, initial=_initial(draft, "limit"))
        if not keys:
            return None
        context = {"keys": keys, "title": "Set the rate limit", "default": settings.KEYPORTAL_RATE_LIMIT}
        if not form.is_valid():
            return self._form_page(request, "limit", form, context)
        limit, origin = form.cleaned_data["limit"], Origin.of_request(request)
        if any(widened_columns(key, {"rate_limit": limit}) for key in keys):
            require_fresh_login(request)
        try:
            changed = sum(services.set_rate_limit(key=key, limit=limit, origin=origin) for key in keys)
        except APIKeyError as error:
            form.add_error(None, str(error))
            return self._form_page(request, "limit", form, context, status=409)
        messages.success(request, f"{changed} changed.")
        return None

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, or an action's confirmation page again if a fresh log-in had interrupted it."""
        may_see = request.method == "GET" and self.has_view_permission(request)
        draft = pop_draft(request) if may_see else None
        page = self._page_of(request, draft) if draft else None
        return page or super().changelist_view(request, extra_context)

    def _page_of(self, request: HttpRequest, draft: Draft) -> HttpResponse | None:
        """Return the page of the interrupted action; None if it has none, or the keys are no longer there."""
        name = draft.first("action")
        has_form = name in ACTIONS_WITH_FORM and name in self.get_actions(request)
        messages.warning(request, draft.message(typed=has_form and ACTIONS_WITH_FORM[name]))
        if not has_form:
            return None
        chosen = filter(str.isprintable, draft.fields["_selected_action"])
        page: HttpResponse | None = getattr(self, name)(
            request, self.get_queryset(request).filter(pk__in=list(chosen)), draft
        )
        return page

    def _permitted_keys(self, request: HttpRequest, keys: QuerySet[APIKey], action: str) -> list[APIKey]:
        """Return the keys to act on. Return none, with a message, if there are more than a form can name."""
        if keys.count() > MAX_AT_ONCE:
            messages.error(request, f"Too many keys are selected. Select up to {MAX_AT_ONCE}.")
            return []
        return self.filter_permitted(request, keys.select_related("owner"), action)

    def _form_page(
        self, request: HttpRequest, page: str, form: Form, context: dict[str, Any], status: int = 400
    ) -> HttpResponse:
        """Show the page that names the keys, with this status if the submitted form is invalid."""
        context = {**self.admin_site.each_context(request), "opts": self.opts, "form": form, **context}
        return render(request, f"admin/apikeys/{page}.html", context, status=status if form.is_bound else 200)


def _initial(draft: Draft | None, *fields: str) -> dict[str, str]:
    """Return what the operator had typed into these fields before a fresh log-in interrupted."""
    return {field: draft.first(field) for field in fields} if draft else {}


def _with_usage(keys: Sequence[APIKey]) -> list[tuple[APIKey, RecentUsage]]:
    """Return the keys, each with its calls of the last day."""
    recent = usage.recent_usage([key.pk for key in keys])
    return [(key, recent[key.pk]) for key in keys]


def _without(
    request: HttpRequest, keys: Sequence[APIKey], is_left_out: Callable[[APIKey], bool], why: str
) -> list[APIKey]:
    """Return the keys that the action is for. A message gives the number of the others."""
    left = [key for key in keys if not is_left_out(key)]
    if len(left) < len(keys):
        messages.warning(request, f"{len(keys) - len(left)} skipped: {why}.")
    return left


def _act_on_each(request: HttpRequest, keys: Sequence[APIKey], act: Callable[[APIKey], bool]) -> int:
    """Act on each key; return how many were changed. A message says why another one was not."""
    done = 0
    for key in keys:
        try:
            done += act(key)
        except APIKeyError as error:
            messages.error(request, f"“{key.name}” ({key.pk}): {error}")
    return done
