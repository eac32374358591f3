"""The calls of the API that developers have, and the command that makes each."""

from collections.abc import Iterator

from django.urls import URLPattern
from rest_framework.views import APIView

from apikeys.api.urls import urlpatterns as of_keys
from tokens.api_urls import urlpatterns as of_tokens

COMMANDS = {
    ("POST", "tokens"): ["login", "--email", "a@example.com", "--password-stdin"],
    ("POST", "tokens/refresh"): ["whoami"],
    ("GET", "me"): ["whoami"],
    ("GET", "scopes"): ["scopes"],
    ("GET", "keys"): ["keys", "list"],
    ("POST", "keys"): ["keys", "create", "--name", "x"],
    ("GET", "keys/{}"): ["keys", "show", "key_1"],
    ("PATCH", "keys/{}"): ["keys", "edit", "key_1", "--name", "x"],
    ("DELETE", "keys/{}"): ["keys", "revoke", "key_1", "--yes"],
    ("GET", "keys/{}/usage"): ["keys", "usage", "key_1"],
    ("GET", "keys/{}/events"): ["keys", "events", "key_1"],
    ("POST", "keys/{}/rotate"): ["keys", "rotate", "key_1"],
    ("POST", "keys/{}/end-overlap"): ["keys", "end-overlap", "key_1"],
    ("POST", "keys/{}/pause"): ["keys", "pause", "key_1"],
    ("POST", "keys/{}/resume"): ["keys", "resume", "key_1"],
    ("DELETE", "tokens"): ["logout"],
}
"""The command for each call, in an order in which one user can run them."""


def every_call() -> set[tuple[str, str]]:
    """Return the method and the route of each call, `{}` standing for an id."""
    return {*_calls(of_keys), *_calls(of_tokens)}


def _calls(patterns: list[URLPattern]) -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        view: type[APIView] = pattern.callback.cls  # type: ignore[attr-defined]  # as_view sets it
        route = str(pattern.pattern).replace("<str:key_id>", "{}")
        yield from (
            (name.upper(), route) for name in view.http_method_names if name != "options" and hasattr(view, name)
        )
