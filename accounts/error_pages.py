"""Error pages for exceptions of account forms and services, also when a library calls these."""

import logging
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.attempts import TooManyAttemptsError
from accounts.drafts import Why, save_draft
from accounts.errors import InvalidLinkError, IssuingSuspendedError
from accounts.guessing import AccountDelayedError
from accounts.way_back import page_of
from integrity.sealed import TamperedRowError

logger = logging.getLogger(__name__)

MINUTE: Final = 60


class AccountErrorsMiddleware:
    """Middleware that answers 429 for a limit, 410 for a used link, 409 for a tampered row, 503 if issuing is off."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on. This middleware handles exceptions only."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the error page, or None for other exceptions."""
        if isinstance(exception, TooManyAttemptsError):
            return _too_many(request, exception)
        if isinstance(exception, InvalidLinkError):
            return render(request, "account/link_over.html", status=410)
        if isinstance(exception, IssuingSuspendedError):
            return _suspended(request, exception)
        if isinstance(exception, TamperedRowError):
            logger.error("integrity_violation: %s", exception)
            return render(request, "accounts/tampered.html", {"what": exception.what}, status=409)
        return None


def _too_many(request: HttpRequest, above: TooManyAttemptsError) -> HttpResponse:
    if request.method == "POST" and request.user.is_authenticated:  # no extra work for anonymous clients
        save_draft(request, Why.LIMITED)
    delayed = isinstance(above, AccountDelayedError)
    context = {
        "message": above.message,
        "wait": _in_words(above.retry_after),
        "delayed": delayed,
        "back": page_of(request),
    }
    response = render(request, "accounts/too_many.html", context, status=429)
    response["Retry-After"] = str(above.retry_after)
    return response


def _suspended(request: HttpRequest, error: IssuingSuspendedError) -> HttpResponse:
    if request.method == "POST" and request.user.is_authenticated:
        save_draft(request, Why.SUSPENDED)
        request.session.save()  # the middleware keeps nothing of a request that ends with a 5xx
    context = {"suspended": error.suspension, "back": page_of(request)}
    response = render(request, "accounts/issuing_suspended.html", context, status=503)
    response["Retry-After"] = str(error.suspension.retry_after)
    return response


def _in_words(seconds: int) -> str:
    """Return a wait as `59 seconds` or, rounded up, `2 minutes`."""
    number, unit = (seconds, "second") if seconds < MINUTE else (-(-seconds // MINUTE), "minute")
    return f"{number} {unit}{'' if number == 1 else 's'}"
