"""The quickstart: from nothing to the first call in four steps, with the reader's own key."""

from typing import Final, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from accounts.models import User
from apikeys import usage
from apikeys.models import APIKey, live_secrets
from apikeys.pages.snippets import Snippet, calls_by_variable

VARIABLE: Final = "API_KEY"
"""The environment variable that holds the secret in the examples: it stands in no file and no history."""


class Quickstart(NamedTuple):
    """The page."""

    key: APIKey | None
    """The reader's newest key that works; None without one."""
    hint: str
    """Of its current secret; empty without a key."""
    was_used: bool
    store_command: str
    """The command that puts the secret into the variable without showing it."""
    calls: list[Snippet]


@require_safe
def quickstart(request: HttpRequest) -> HttpResponse:
    """Show the four steps; those that the reader has done are marked."""
    shown = _quickstart(request.user if isinstance(request.user, User) else None)
    return TemplateResponse(request, "keys/quickstart.html", shown._asdict())


def _quickstart(reader: User | None) -> Quickstart:
    mine = APIKey.objects.of(reader).in_state("active") if reader else APIKey.objects.none()
    key = mine.prefetch_related(live_secrets()).first()
    return Quickstart(
        key=key,
        hint=next((secret.hint for secret in key.secrets.all()), "") if key else "",
        was_used=key is not None and bool(usage.last_uses([key.pk])[key.pk]),
        store_command=f"read -rs {VARIABLE} && export {VARIABLE}",
        calls=calls_by_variable(VARIABLE),
    )
