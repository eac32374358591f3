"""`GET /api/v1/changes`: what verifiers in other processes have to forget (docs/change-feed.md).

Answered before Django's request cycle, and almost always in the event loop: a hundred verifiers ask four times a
second each.
"""

import json
import math
import re
from typing import Final

from django.http import QueryDict
from rest_framework.exceptions import ValidationError
from typing_extensions import override

from audit.client_address import Address
from credentials.json_body import unknown_members
from credentials.verified_cache.feed import MAX_CURSOR, Changes, change_feed
from credentials.verified_cache.freshness import Lookup, get_or_load, may_query
from gateway.caller_cache import CallerCache
from gateway.feed_polls import feed_polls
from gateway.service_call import ServiceCall

PATH: Final = "/api/v1/changes"
QUERY: Final = re.compile(rf"(?:since=([0-9A-Za-z.-]{{1,{MAX_CURSOR}}}))?")
"""The queries of clients that keep to the protocol. Django answers all others, and says what is wrong with them."""


class ChangesCall(ServiceCall):
    """One poll of a verifier."""

    def __init__(
        self,
        authorization: str | None,
        cursor: str | None,
        address: Address | None,
        caller_cache: CallerCache | None = None,
        *,
        query: str = "",
    ) -> None:
        super().__init__(authorization, query, address, caller_cache)
        self.cursor = cursor

    @override
    def respond(self, lookup: Lookup = get_or_load) -> bytes:
        caller = self.authenticate(lookup)
        body = _body(change_feed().changes_since(self.cursor, may_query=may_query(lookup)))
        feed_polls().add(caller.counted_as)
        return body


def parse_query(parameters: QueryDict) -> str | None:
    """Return the cursor in a query, None if there is none. Raises REST framework's `ValidationError`."""
    errors = unknown_members(parameters, {"since"}, what="parameter")
    cursors = parameters.getlist("since")
    if len(cursors) > 1 or any(len(cursor) > MAX_CURSOR for cursor in cursors):
        errors["since"] = ["Send the cursor of the answer before, once."]
    if errors:
        raise ValidationError(errors)
    return next(iter(cursors), None)


def _body(changes: Changes) -> bytes:
    body: dict[str, object] = {"cursor": changes.cursor, "as_of_ms": math.ceil(changes.age * 1000)}
    return json.dumps(body | ({"reset": True} if changes.tags is None else {"tags": changes.tags})).encode()
