"""What the pages of keys share: a developer's own key, and the page that shows a secret."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables

from accounts.requests import AuthenticatedRequest
from apikeys.models import APIKey, KeySecret, live_secrets
from apikeys.pages.snippets import snippets


def own_key(request: AuthenticatedRequest, key_id: str) -> APIKey:
    """Return the developer's own key. Another developer's key is a 404, like one that does not exist."""
    return get_object_or_404(APIKey.objects.of(request.user).prefetch_related(live_secrets()), pk=key_id)


@sensitive_variables("text")
def show_secret(
    request: HttpRequest, key: APIKey, text: str, *, title: str, former: KeySecret | None = None
) -> HttpResponse:
    """Return the page that shows a secret: a new one masked, until it is copied; `former` is the one that it replaces.

    A revealed one is shown at once, or masked if it is only to be copied.
    """
    is_new = title != REVEALED
    context = {
        "key": key,
        "secret": text,
        "title": title,
        "created": is_new,
        "former": former,
        "kept": key.secrets.exclude(ciphertext=None).filter(replaced_at=None).exists(),
        "masked": is_new or "copy" in request.POST,
        "snippets": snippets(),
    }
    return never_cache(render)(request, "keys/secret.html", context)


CREATED = "Key created"
ROTATED = "Key rotated"
REVEALED = "Secret of your key"
