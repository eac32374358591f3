"""The operators' pages for users, the audit trail and pending messages. Writes go through `accounts.services`."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from typing_extensions import override

from accounts import services
from accounts.models import PendingMessage, User
from accounts.operators import OperatorAdmin, ReadOnlyAdmin
from audit.models import Event
from audit.origin import Origin

__all__ = ["OperatorAdmin", "ReadOnlyAdmin"]

Verb = Callable[..., bool]


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """Users. Actions confirm them, switch them off and on, and end their signed tokens. No page gives rights."""

    list_display = ("email", "is_active", "confirmed_at", "last_login", "joined_at", "is_staff", "id")
    list_filter = ("is_active", "is_staff", ("confirmed_at", admin.EmptyFieldListFilter))
    search_fields = ("email", "id")
    ordering = ("-joined_at",)
    fields = ("id", *list_display[:-1], "auth_epoch")
    actions = ("confirm", "unconfirm", "deactivate", "reactivate", "end_tokens")
    subject_type = "user"

    @override
    def owner_of(self, obj: User) -> User:
        return obj

    @admin.action(permissions=["act"], description="Confirm the e-mail address")
    def confirm(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Confirm the address of each user on the operator's word."""
        self._each(request, queryset, services.confirm_user, "confirmed")

    @admin.action(permissions=["act"], description="Mark the e-mail address unconfirmed (keys and tokens are refused)")
    def unconfirm(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Take each user's confirmation back, except the operator's own, who would be locked out."""
        self._each(request, self._others(request, queryset), services.unconfirm_user, "unconfirmed")

    @admin.action(permissions=["act"], description="Deactivate (log-ins, keys and tokens are refused)")
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Switch each account off, except the operator's own."""
        self._each(request, self._others(request, queryset), services.deactivate_user, "deactivated")

    @admin.action(permissions=["act"], description="Reactivate")
    def reactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Switch each account on again."""
        self._each(request, queryset, services.reactivate_user, "activated")

    @admin.action(permissions=["act"], description="End all signed tokens")
    def end_tokens(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """End each user's signed tokens."""
        self._each(request, queryset, services.end_all_tokens, "users' tokens ended")

    def _others(self, request: HttpRequest, users: QuerySet[User]) -> QuerySet[User]:
        if users.filter(pk=request.user.pk).exists():
            messages.warning(request, "Your own account was skipped, because you would lock yourself out.")
        return users.exclude(pk=request.user.pk)

    def _each(self, request: HttpRequest, users: QuerySet[User], verb: Verb, done: str) -> None:
        origin = Origin.of_request(request)
        changed = sum(verb(user=user, origin=origin) for user in self.filter_permitted(request, users, verb.__name__))
        messages.success(request, f"{changed} {done}.")


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """The audit trail, newest first. Nothing in it can be changed, not even by operators."""

    list_display = ("at", "verb", "actor", "subject_type", "subject_id", "address", "peer", "request_id")
    list_filter = ("verb", "subject_type")
    search_fields = ("=actor", "=subject_id", "=request_id", "=verb")
    search_help_text = "An exact actor (user:usr_…), subject id, request id or verb."
    ordering = ("-at", "-id")
    fields = (*list_display, "details")
    date_hierarchy = "at"
    show_full_result_count = False


@admin.register(PendingMessage)
class PendingMessageAdmin(ReadOnlyAdmin):
    """Messages that are waiting to be sent or were given up. Their content and recipient are sealed."""

    list_display = ("id", "what", "created_at", "due_at", "tries", "given_up_at")
    list_filter = (("given_up_at", admin.EmptyFieldListFilter), "what")
    search_fields = ("=id", "=what")
    search_help_text = "An exact id (msg_…), as in the message's Message-ID and the log, or the message's template."
    ordering = ("-created_at", "-id")
    fields = list_display
