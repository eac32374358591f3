"""Pages of the account that django-allauth does not have: the overview and the security history."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import AuditEvent
from accounts.origin import AuthenticatedRequest

PAGE = 25


@login_required
@require_safe
def overview(request: AuthenticatedRequest) -> HttpResponse:
    """Show the way to everything that belongs to the account."""
    return render(request, "accounts/overview.html")


@login_required
@require_safe
def history(request: AuthenticatedRequest) -> HttpResponse:
    """Show what happened to the account and what was done with it, newest first."""
    me = request.user.pk
    events = AuditEvent.objects.filter(Q(actor=f"user:{me}") | Q(subject_type="user", subject_id=me)).order_by(
        "-at", "-id"
    )
    page = Paginator(events, PAGE).get_page(request.GET.get("page"))
    return render(request, "accounts/history.html", {"page": page})
