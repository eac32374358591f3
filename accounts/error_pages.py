"""Pages for what the forms and verbs of an account raise, wherever a library calls them."""

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.attempts import TooManyAttemptsError
from accounts.drafts import Why, keep_draft
from accounts.errors import LinkOverError
from accounts.guessing import AccountDelayedError
from accounts.sealed import TamperedRowError
from accounts.way_back import page_of

logger = logging.getLogger(__name__)


class AccountErrorsMiddleware:
    """Answers 429 for a limit, 410 for a link that is over, 409 for an account that somebody tampered with."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on: only exceptions matter here."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the page; None for what is none of these."""
        if isinstance(exception, TooManyAttemptsError):
            return _too_many(request, exception)
        if isinstance(exception, LinkOverError):
            return render(request, "account/link_over.html", status=410)
        if isinstance(exception, TamperedRowError):
            logger.error("integrity_violation: %s", exception)
            return render(request, "accounts/tampered.html", status=409)
        return None


def _too_many(request: HttpRequest, above: TooManyAttemptsError) -> HttpResponse:
    if request.method == "POST" and request.user.is_authenticated:  # for strangers a limit does no more than it must
        keep_draft(request, Why.LIMITED)
    wait, delayed = above.retry_after, isinstance(above, AccountDelayedError)
    context = {
        "words": above.words,
        "wait": wait,
        "minutes": -(-wait // 60),
        "delayed": delayed,
        "back": page_of(request),
    }
    response = render(request, "accounts/too_many.html", context, status=429)
    response["Retry-After"] = str(wait)
    return response
