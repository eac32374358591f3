"""Every verb that gives a secret or a token away, and how it is called."""

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from accounts import services as accounts
from accounts.models import User
from apikeys import services as keys
from apikeys.models import APIKey, IdempotentAnswer, KeySecret
from apikeys.services.rotation import current_secret
from apikeys.verification import verify
from tests.conftest import ORIGIN
from tests.portal import ROOT
from tokens import services as tokens
from tokens.models import RefreshToken, TokenFamily

MAKERS: Final = {"new_secret", "sign_access_token", "add_secret", "unseal_value"}
"""What makes a secret or a token, or gets a stored one out."""
ROOMS: Final = ("accounts", "apikeys", "credentials", "tokens", "gateway", "keyportal")

USES: Final[Mapping[str, str]] = {
    "apikeys.services.secrets.add_secret": "create_key, rotate",
    "apikeys.services.creation.create_key": "create_key",
    "apikeys.services.rotation.rotate": "rotate",
    "apikeys.services.revealing.reveal": "reveal",
    "apikeys.services.idempotency._earlier_answer": "a repeated call; tests/keyportal/test_issuing_doors.py",
    "tokens.services.tokens.issue_to_key": "issue_to_key",
    "tokens.services.tokens._issue_access_token": "issue_to_user, refresh",
    "tokens.services.tokens._new_refresh_token": "issue_to_user, refresh",
    "tokens.services.trial._issue": "issue_to_try",
    "accounts.adapter.MFAAdapter.decrypt": "the seed of one-time codes, which a log-in compares and no page shows",
    "accounts.pending.unseal_message": "a message that waits",
    "accounts.sessions.SessionStore.decode": "what a session keeps for its own browser",
}
"""Where the makers are used, and the verb that guards it, or why none has to. A new use fails until it stands here."""


def uses() -> Iterator[str]:
    """Yield each function of the rooms that calls one of the makers, by its full name."""
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            yield from (f"{module}.{name}" for name in _callers(ast.parse(file.read_text()), ""))


def _callers(tree: ast.AST, prefix: str) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _callers(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            called = {name for call in ast.walk(node) if isinstance(call, ast.Call) for name in _name_of(call.func)}
            if called & MAKERS:
                yield prefix + node.name


def _name_of(function: ast.expr) -> Iterator[str]:
    if isinstance(function, ast.Name):
        yield function.id
    elif isinstance(function, ast.Attribute):
        yield function.attr


def verbs(owner: User) -> dict[str, Callable[[], Any]]:
    """Return a call of each verb that issues, ready to be made: what it needs exists."""
    key, secret = keys.create_key(owner=owner, name="before", environment="live", origin=ORIGIN)
    pair = tokens.issue_to_user(user=owner, scopes=(), agent="app", origin=ORIGIN)
    refresh_token = pair.refresh_token or ""
    client = verify(secret, address=None)
    stored = current_secret(key)
    about: dict[str, Any] = {"origin": ORIGIN}
    return {
        "create_key": lambda: keys.create_key(owner=owner, name="new", environment="test", **about),
        "rotate": lambda: keys.rotate(key=key, replaces=stored.pk, **about),
        "reveal": lambda: keys.reveal(secret=stored, **about),
        "issue_to_user": lambda: tokens.issue_to_user(user=owner, scopes=(), agent="app", **about),
        "issue_to_key": lambda: tokens.issue_to_key(client=client, scopes=(), **about),
        "issue_to_try": lambda: tokens.issue_to_try(user=owner, **about),
        "refresh": lambda: tokens.refresh(secret=refresh_token, scopes=None, client_id=None, **about),
        "sign_up": lambda: accounts.sign_up(email="new@example.com", password="a long enough phrase", **about),
    }


def issued() -> dict[str, int]:
    """Return how much there is of what verbs issue."""
    models = (User, APIKey, KeySecret, IdempotentAnswer, TokenFamily, RefreshToken)
    return {model.__name__: model._default_manager.count() for model in models}
