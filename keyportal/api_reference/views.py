"""The pages of the API reference, the description itself, and a token to try calls with."""

import json
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.fresh_login import fresh_login_required, is_fresh
from accounts.requests import AuthenticatedRequest
from accounts.way_back import way_back
from audit.origin import Origin
from keyportal.api_reference.description import description, groups
from tokens.services import issue_to_try


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """Return the description of API v1 (OpenAPI 3.1). Anyone may read it, and keep it for a while."""
    body = _described(settings.KEYPORTAL_URL)
    return HttpResponse(body, content_type="application/json", headers={"Cache-Control": "public, max-age=300"})


@cache
def _described(url: str) -> str:
    return json.dumps({**description(), "servers": [{"url": url}]}, ensure_ascii=False)


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """Show every operation, each with its members, errors and a form that sends the call."""
    return TemplateResponse(request, "docs/reference.html", {"groups": groups(), "base": settings.KEYPORTAL_URL})


@require_safe
def explorer(request: HttpRequest) -> HttpResponse:
    """Show the description in Swagger UI. Calls can be tried after a fresh log-in."""
    context = {"can_try": request.user.is_authenticated and is_fresh(request)}
    return TemplateResponse(request, "docs/explorer.html", context)


@require_POST
@never_cache
@way_back(page="reference", press="Send")
@fresh_login_required
def trial_token(request: AuthenticatedRequest) -> JsonResponse:
    """Return a short-lived access token of the reader, for the test environment. Needs a fresh log-in."""
    token = issue_to_try(user=request.user, origin=Origin.of_request(request))
    return JsonResponse({"access_token": token.access_token, "expires_in": token.expires_in})
