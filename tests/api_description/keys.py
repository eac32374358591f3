"""The operations on keys."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension, OpenApiViewExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view

from apikeys.api.bodies import NEVER, KeyChangesBody, NewKeyBody, NoBody, PauseBody, RotationBody
from tests.api_description import shapes

READ, WRITE = "Needs the scope `keys:read`.", "Needs the scope `keys:write`."
TAGS = ["Keys"]
KEY_ID = OpenApiParameter("key_id", str, OpenApiParameter.PATH, description="The key's id: `key_…`.")
LIMIT = OpenApiParameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 25}, description="How many to return."
)
CURSOR = OpenApiParameter("cursor", str, description="The `next` of the previous page.")
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="A name of your own for this call. Repeated within 24 hours, the call gets the same answer.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    {"type": "string", "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="The `ETag` that you read. If the key was changed since, nothing happens: 412.",
)
REPEATABLE = [KEY_ID, IDEMPOTENCY_KEY, IF_MATCH]


def one_of(*values: str) -> dict[str, Any]:
    """Return the schema of a choice."""
    return {"type": "string", "enum": list(values)}


def text(length: int) -> dict[str, Any]:
    """Return the schema of a text."""
    return {"type": "string", "maxLength": length}


class Expiry(OpenApiSerializerFieldExtension):
    """A time, or a word."""

    target_class = "apikeys.api.bodies.ExpiryField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "const": NEVER}],
            "description": "A time with its zone, or `never`.",
        }


class Overlap(OpenApiSerializerFieldExtension):
    """An overlap: 0, or a text."""

    target_class = "apikeys.api.bodies.OverlapField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {
            "anyOf": [{"type": "integer", "const": 0}, {"type": "string", "pattern": "^([0-9]{1,2}[hd]|[0-9]{1,5}m)$"}],
            "default": "24h",
            "description": "How long the former secret goes on working: 0, or `90m`, `24h`, `30d`; 90 days at most.",
        }


def described(target: str, own: dict[str, Any] | None = None, **methods: Any) -> type[OpenApiViewExtension]:
    """Return the extension that describes the methods of a view; `own` are attributes to describe it by."""

    def view_replacement(self: Any) -> Any:
        named = {"__doc__": "", "__module__": __name__, **(own or {})}
        return extend_schema_view(**methods)(
            type(f"Described{self.target_class.__name__}", (self.target_class,), named)
        )

    return type(
        f"Describe{target.rpartition('.')[2]}",
        (OpenApiViewExtension,),
        {
            "target_class": target,
            "view_replacement": view_replacement,
        },
    )


described(
    "apikeys.api.key_views.KeysView",
    get=extend_schema(
        tags=TAGS,
        operation_id="list_keys",
        summary="List keys",
        description=f"Returns your keys, newest first, never with a secret. {READ}",
        parameters=[
            LIMIT,
            CURSOR,
            OpenApiParameter(
                "state", {"type": "string", "enum": list(shapes.STATES)}, description="Only keys in this state."
            ),
            OpenApiParameter(
                "environment",
                {"type": "string", "enum": list(shapes.ENVIRONMENTS)},
                description="Only keys of this environment.",
            ),
            OpenApiParameter(
                "q",
                {"type": "string", "maxLength": 100},
                description="Part of a name, beginning of an id, or end of a hint.",
            ),
        ],
        responses={200: shapes.KeyList},
    ),
    post=extend_schema(
        tags=TAGS,
        operation_id="create_key",
        summary="Create a key",
        description=(
            "Creates a key and returns it with its secret, the only time that the API gives it. If a key makes the "
            "call, it can only grant what it has itself: scopes, environment, networks, expiry. Otherwise the answer "
            f"is 403. {WRITE}"
        ),
        parameters=[IDEMPOTENCY_KEY],
        request=NewKeyBody,
        responses={201: shapes.KeyWithSecret},
        examples=[
            OpenApiExample(
                "A key for CI",
                request_only=True,
                value={"name": "CI", "environment": "test", "scopes": ["reports:read"], "networks": ["203.0.113.0/24"]},
            )
        ],
    ),
)
described(
    "apikeys.api.key_views.KeyView",
    get=extend_schema(
        tags=TAGS,
        operation_id="read_key",
        summary="Read a key",
        description=f"Returns a key with its `ETag`. {READ}",
        parameters=[KEY_ID],
        responses={200: shapes.Key},
    ),
    patch=extend_schema(
        tags=TAGS,
        operation_id="change_key",
        summary="Change a key",
        description=(
            "Changes the members that you send, and nothing else; `null` is the same as leaving a member out. The "
            f"owner is told by e-mail of what lets the key do more. {WRITE}"
        ),
        parameters=[KEY_ID, IF_MATCH],
        request=KeyChangesBody,
        responses={200: shapes.Key},
        examples=[OpenApiExample("Another name", request_only=True, value={"name": "CI of the web team"})],
    ),
    delete=extend_schema(
        tags=TAGS,
        operation_id="revoke_key",
        summary="Revoke a key",
        description=f"Ends a key for good. Repeating it changes nothing. {WRITE}",
        parameters=[
            KEY_ID,
            IF_MATCH,
            OpenApiParameter(
                "reason",
                {"type": "string", "maxLength": 200},
                description="Everyone who calls with the key can read it.",
            ),
        ],
        responses={204: None},
    ),
)
described(
    "apikeys.api.verb_views.RotateView",
    post=extend_schema(
        tags=TAGS,
        operation_id="rotate_key",
        summary="Rotate a key",
        description=(
            "Gives a key another secret under the same id; the former one goes on working for the overlap, but not "
            "longer than the key. After a leak, send an overlap of 0. Needs the scope `keys:write`; with `self:rotate` "
            "a key can rotate itself."
        ),
        parameters=REPEATABLE,
        request=RotationBody,
        responses={201: shapes.KeyWithSecret},
        examples=[OpenApiExample("With a day to replace it", request_only=True, value={"overlap": "24h"})],
    ),
)
described(
    "apikeys.api.verb_views.EndOverlapView",
    post=extend_schema(
        tags=TAGS,
        operation_id="end_overlap",
        summary="End an overlap",
        description=f"Retires the former secret of a rotation before its time. {WRITE}",
        parameters=REPEATABLE,
        request=NoBody,
        responses={200: shapes.Key},
    ),
)
described(
    "apikeys.api.verb_views.PauseView",
    post=extend_schema(
        tags=TAGS,
        operation_id="pause_key",
        summary="Pause a key",
        description=f"Refuses the key until it is resumed, or until a time. {WRITE}",
        parameters=REPEATABLE,
        request=PauseBody,
        responses={200: shapes.Key},
        examples=[OpenApiExample("During an incident", request_only=True, value={"reason": "looking into odd calls"})],
    ),
)
described(
    "apikeys.api.verb_views.ResumeView",
    post=extend_schema(
        tags=TAGS,
        operation_id="resume_key",
        summary="Resume a key",
        description=f"Accepts a paused key again. {WRITE}",
        parameters=REPEATABLE,
        request=NoBody,
        responses={200: shapes.Key},
    ),
)
described(
    "apikeys.api.reading_views.UsageView",
    get=extend_schema(
        tags=TAGS,
        operation_id="read_usage",
        summary="Read a key's usage",
        description=f"Returns the calls of a key by outcome, with those of its signed tokens. {READ}",
        parameters=[
            KEY_ID,
            OpenApiParameter(
                "by", {"type": "string", "enum": ["hour", "day"], "default": "day"}, description="The interval."
            ),
            OpenApiParameter(
                "days",
                {"type": "integer", "minimum": 1, "maximum": 90},
                description="How many days, today included: 30 by default and 90 at most; 2 and 7 by hour.",
            ),
        ],
        responses={200: shapes.Usage},
    ),
)
described(
    "apikeys.api.reading_views.EventsView",
    get=extend_schema(
        tags=TAGS,
        operation_id="list_events",
        summary="Read a key's history",
        description=f"Returns what happened to a key, newest first. {READ}",
        parameters=[KEY_ID, LIMIT, CURSOR],
        responses={200: shapes.EventList},
    ),
)
described(
    "apikeys.api.reading_views.ScopesView",
    get=extend_schema(
        tags=TAGS,
        operation_id="list_scopes",
        summary="List scopes",
        description=f"Returns the scopes that you can give to a key. {READ}",
        responses={200: shapes.ScopeList},
    ),
)
described(
    "apikeys.api.views.MeView",
    get=extend_schema(
        tags=["Credentials"],
        operation_id="who_am_i",
        summary="Look at your own credential",
        description="Returns which credential you sent, whose it is, and what it may do. Needs no scope.",
        responses={200: shapes.Credential, 401: shapes.Problem},
    ),
)
