"""Fresh log-in, required before a secret is shown or given away or a key is widened."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse

from accounts.requests import AuthenticatedRequest

P = ParamSpec("P")
View = Callable[Concatenate[AuthenticatedRequest, P], HttpResponse]


def is_fresh(request: HttpRequest) -> bool:
    """Return whether the user has authenticated within the last `ACCOUNT_REAUTHENTICATION_TIMEOUT` seconds."""
    records = get_authentication_records(request, request.user)
    return bool(records) and time.time() - records[-1]["at"] < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def require_fresh_login(request: HttpRequest) -> None:
    """Raise `ReauthenticationRequired` unless the log-in is fresh. `WayBackMiddleware` then asks the user for one."""
    if not is_fresh(request):
        raise ReauthenticationRequired


def fresh_login_required(view: View[P]) -> View[P]:
    """Return the view, guarded so that it requires a fresh log-in."""

    @login_required
    @wraps(view)
    def guarded(request: AuthenticatedRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        require_fresh_login(request)
        return view(request, *args, **kwargs)

    return guarded  # type: ignore[return-value]  # login_required widens the request
