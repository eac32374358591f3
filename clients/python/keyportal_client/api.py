"""A typed client for the management API: one method for each of its calls.

    client = Client("https://keys.example.com", FixedCredential(os.environ["KEYPORTAL_KEY"]))
    key, secret = client.create_key(name="billing server", scopes=["reports:read"])

Each method raises a `KeyportalError`: `RefusedError` if the portal answers no, `UnreachableError` if it does not
answer, `UnexpectedAnswerError` if something else answers.
"""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from keyportal_client.address import PortalAddress
from keyportal_client.caller import Caller, Credential
from keyportal_client.conforming import conform
from keyportal_client.shapes import Event, EventPage, Key, KeyPage, Me, ScopeList, SecretOnly, Usage
from keyportal_client.transport import TIMEOUT, Transport

MAX_LIMIT: Final = 100
"""Items of one page, at most."""
_KEY_ID: Final = re.compile(r"key_[0-9A-Za-z]{1,64}")


class Client:
    """The management API of a portal, as one credential sees it."""

    def __init__(self, portal: str, credential: Credential, *, timeout: float = TIMEOUT, agent: str = "") -> None:
        self.portal = PortalAddress.parse(portal)
        self._caller = Caller(Transport(self.portal, timeout=timeout, agent=agent), credential)

    def me(self) -> Me:
        """Return what the credential is, whose, and what it may."""
        return conform(self._get("me"), Me)

    def scopes(self) -> ScopeList:
        """Return the scopes that the credential can give a key."""
        return conform(self._get("scopes"), ScopeList)

    def list_keys(
        self,
        *,
        state: str = "",
        environment: str = "",
        search: str = "",
        limit: int | None = None,
        cursor: str = "",
    ) -> KeyPage:
        """Return a page of keys, newest first. `search` looks in names and ids.

        `cursor` is the `next` of the page before.
        """
        query = {"state": state, "environment": environment, "q": search}
        query |= {"limit": str(limit or ""), "cursor": cursor}
        return conform(self._get("keys", query), KeyPage)

    def all_keys(self, *, state: str = "", environment: str = "", search: str = "") -> Iterator[Key]:
        """Yield every key, newest first."""
        list_some = partial(self.list_keys, state=state, environment=environment, search=search, limit=MAX_LIMIT)
        page = list_some()
        yield from page["items"]
        while page["next"]:
            page = list_some(cursor=page["next"])
            yield from page["items"]

    def key(self, key_id: str) -> Key:
        """Return a key."""
        return self.key_and_version(key_id)[0]

    def key_and_version(self, key_id: str) -> tuple[Key, str]:
        """Return a key and its ETag, by which `edit_key` notices that someone else changed it."""
        result = self._caller.call("GET", _path(key_id))
        return conform(result.body, Key), result.etag

    def create_key(
        self,
        *,
        name: str,
        environment: str | None = None,
        scopes: Sequence[str] | None = None,
        networks: Sequence[str] | None = None,
        expires_at: str | None = None,
        show_once: bool | None = None,
        idempotency_key: str | None = None,
    ) -> tuple[Key, str]:
        """Create a key and return it with its secret, which the API gives this once.

        `expires_at` is a time of RFC 3339, or `never`; without it, the key gets what the portal gives by default. The
        same call with the same `idempotency_key` returns the same key and secret, for a day.
        """
        wanted = {"name": name, "scopes": scopes, "networks": networks, "expires_at": expires_at}
        body = _named({**wanted, "environment": environment, "show_once": show_once})
        return self._with_secret("keys", body, idempotency_key)

    def edit_key(
        self,
        key_id: str,
        *,
        name: str | None = None,
        scopes: Sequence[str] | None = None,
        networks: Sequence[str] | None = None,
        expires_at: str | None = None,
        version: str = "",
    ) -> Key:
        """Change what is named and nothing else; only if the key is as it was when its `version` was read."""
        body = _named({"name": name, "scopes": scopes, "networks": networks, "expires_at": expires_at})
        headers = {"If-Match": version} if version else {}
        return conform(self._caller.call("PATCH", _path(key_id), body=body, headers=headers).body, Key)

    def rotate(
        self, key_id: str, *, overlap: str = "24h", reason: str = "", idempotency_key: str | None = None
    ) -> tuple[Key, str]:
        """Return a key and another secret for it. The former secret works until the overlap ends.

        The same call with the same `idempotency_key` returns the same secret, for a day.
        """
        return self._with_secret(_path(key_id, "rotate"), {"overlap": overlap, "reason": reason}, idempotency_key)

    def end_overlap(self, key_id: str) -> Key:
        """End the overlap of a rotation: only the newest secret works from now on."""
        return self._post(_path(key_id, "end-overlap"), {})

    def pause(self, key_id: str, *, reason: str = "", until: str | None = None) -> Key:
        """Have a key refused for now, or until a time."""
        body = {"reason": reason} | ({"until": until} if until else {})
        return self._post(_path(key_id, "pause"), body)

    def resume(self, key_id: str) -> Key:
        """Have a paused key accepted again."""
        return self._post(_path(key_id, "resume"), {})

    def revoke(self, key_id: str, *, reason: str = "") -> None:
        """End a key for good."""
        self._caller.call("DELETE", _path(key_id), query={"reason": reason} if reason else None)

    def usage(self, key_id: str, *, by: str = "day", days: int | None = None) -> Usage:
        """Return the calls of a key by outcome, for each hour or day."""
        return conform(self._get(_path(key_id, "usage"), {"by": by, "days": str(days or "")}), Usage)

    def events(self, key_id: str, *, limit: int | None = None, cursor: str = "") -> EventPage:
        """Return a page of a key's history, newest first."""
        return conform(self._get(_path(key_id, "events"), {"limit": str(limit or ""), "cursor": cursor}), EventPage)

    def all_events(self, key_id: str) -> Iterator[Event]:
        """Yield the whole history of a key, newest first."""
        page = self.events(key_id, limit=MAX_LIMIT)
        yield from page["items"]
        while page["next"]:
            page = self.events(key_id, limit=MAX_LIMIT, cursor=page["next"])
            yield from page["items"]

    def _get(self, path: str, query: dict[str, str] | None = None) -> Any:
        given = {name: value for name, value in (query or {}).items() if value}
        return self._caller.call("GET", path, query=given).body

    def _post(self, path: str, body: dict[str, str]) -> Key:
        return conform(self._caller.call("POST", path, body=body).body, Key)

    def _with_secret(self, path: str, body: Mapping[str, object], idempotency_key: str | None) -> tuple[Key, str]:
        headers = {"Idempotency-Key": idempotency_key or new_idempotency_key()}
        answer = self._caller.call("POST", path, body=body, headers=headers).body
        secret = conform(answer, SecretOnly)["secret"]
        key = {name: value for name, value in answer.items() if name != "secret"}
        return conform(key, Key), secret


def _named(members: Mapping[str, object]) -> dict[str, object]:
    """Return the members of a body that have a value."""
    return {name: value for name, value in members.items() if value is not None}


def new_idempotency_key() -> str:
    """Return a random `Idempotency-Key`."""
    return secrets.token_urlsafe(18)


def _path(key_id: str, *rest: str) -> str:
    """Return the path of a key. Raises ValueError for what is not a key's id, and might lead elsewhere."""
    if not _KEY_ID.fullmatch(key_id):
        raise ValueError("A key's id begins with key_.")
    return "/".join(("keys", key_id, *rest))
