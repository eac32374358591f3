"""Account pages that django-allauth lacks, or that replace its own."""

from typing import Any, Final

from allauth.mfa.webauthn.views import LoginWebAuthnView
from allauth.usersessions.models import UserSession
from allauth.usersessions.views import ListUserSessionsView
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from typing_extensions import override

from accounts import services
from accounts.attempts import AttemptLimit
from accounts.fresh_login import require_fresh_login
from accounts.places import bucket_of
from accounts.preference_forms import EmailPreferencesForm
from accounts.preferences import changed_kinds
from accounts.requests import AuthenticatedRequest
from accounts.view_models import events_of, history_entry, session_row
from accounts.way_back import way_back
from audit.origin import Origin

PAGE: Final = 25
PASSKEYS: Final = AttemptLimit("KEYPORTAL_LIMIT_PASSKEY", "Too many passkey attempts from your network.")


@login_required
@require_safe
def overview(request: AuthenticatedRequest) -> HttpResponse:
    """Show links to all pages of the account."""
    return TemplateResponse(request, "accounts/overview.html")


@login_required
@require_safe
def history(request: AuthenticatedRequest) -> HttpResponse:
    """Show what the user did, and what anybody did with the account or its keys, newest first."""
    page = Paginator(events_of(request.user), PAGE).get_page(request.GET.get("page"))
    entries = [history_entry(event, request.user) for event in page]
    return TemplateResponse(request, "accounts/history.html", {"page": page, "entries": entries})


@login_required
@way_back(form=EmailPreferencesForm, press="Save")
@require_http_methods(["GET", "HEAD", "POST"])
def emails(request: AuthenticatedRequest) -> HttpResponse:
    """Show which e-mails the user gets; a valid POST stores the choice. To switch one off needs a fresh log-in."""
    form = EmailPreferencesForm(request.POST if request.method == "POST" else None, user=request.user)
    if not form.is_valid():
        return TemplateResponse(request, "accounts/emails.html", {"form": form}, status=400 if form.is_bound else 200)
    if not all(changed_kinds(request.user, form.wanted).values()):
        require_fresh_login(request)
    services.set_email_preferences(user=request.user, wanted=form.wanted, origin=Origin.of_request(request))
    messages.success(request, "Your e-mail preferences are saved.")
    return redirect("account_emails")


@require_POST
@login_required
@way_back(page="usersessions_list", press="End")
def end_session(request: AuthenticatedRequest, session_id: int) -> HttpResponse:
    """End one of the user's sessions. Answer 404 for another user's."""
    session = get_object_or_404(UserSession, pk=session_id, user=request.user)
    services.end_session(session=session, origin=Origin.of_request(request))
    messages.success(request, "The session was ended.")
    return redirect("usersessions_list")


class PasskeyLogInView(LoginWebAuthnView):  # type: ignore[misc]  # untyped
    """A log-in by passkey alone. It is limited because a challenge costs a row and an answer a signature check."""

    @override
    def dispatch(self, request: HttpRequest, *arguments: Any, **names: Any) -> HttpResponse:
        """Count the request before handling it. Raises `TooManyAttemptsError`."""
        PASSKEYS.enforce(bucket_of(request))
        response: HttpResponse = super().dispatch(request, *arguments, **names)
        return response


class SessionsView(ListUserSessionsView):  # type: ignore[misc]  # untyped
    """The list of the user's sessions; a POST ends all but this one."""

    @override
    def get_context_data(self, **context: Any) -> dict[str, Any]:
        """Return the context, with the sessions as rows of this page."""
        context = super().get_context_data(**context)
        tracked = context["show_last_seen_at"]
        return {**context, "sessions": [session_row(session, tracked=tracked) for session in context["sessions"]]}
