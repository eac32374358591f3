"""What API v1 answers, member by member."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.serializers import (
    BooleanField,
    CharField,
    ChoiceField,
    DateTimeField,
    DictField,
    IntegerField,
    ListField,
    Serializer,
    URLField,
)

STATES = ("active", "paused", "expired", "revoked")
ENVIRONMENTS = ("live", "test")
HINT = "The part of the secret that may be shown: its prefix and last four characters."


class Secret(Serializer[Any]):
    """A secret of a key, without the secret itself. A key has one, or two during the overlap of a rotation."""

    id = CharField()
    hint = CharField(help_text=HINT)
    created_at = DateTimeField()
    retires_at = DateTimeField(allow_null=True, help_text="When it stops working; null for the newest secret.")
    last_used_at = DateTimeField(allow_null=True)


class Key(Serializer[Any]):
    """A key."""

    id = CharField(help_text="The id, for the key's whole life: `key_…`.")
    name = CharField()
    environment = ChoiceField(choices=ENVIRONMENTS)
    state = ChoiceField(choices=STATES)
    scopes = ListField(child=CharField())
    networks = ListField(child=CharField(), help_text="Where it may be used from; empty for anywhere.")
    rate_limit = CharField(allow_null=True, help_text="The key's own limit, set by an operator.")
    created_at = DateTimeField()
    expires_at = DateTimeField(allow_null=True)
    paused_at = DateTimeField(allow_null=True)
    paused_until = DateTimeField(allow_null=True, help_text="When a pause ends by itself.")
    paused_reason = CharField(allow_blank=True)
    revoked_at = DateTimeField(allow_null=True)
    revoked_reason = CharField(allow_blank=True)
    last_used_at = DateTimeField(allow_null=True)
    owner = CharField(help_text="The account: `usr_…`.")
    secrets = Secret(many=True)


class KeyWithSecret(Key):
    """A key with its new secret, which the API gives this once."""

    secret = CharField(help_text="Send it as `Authorization: Bearer …`. The API never shows it again.")


class KeyList(Serializer[Any]):
    """A page of keys, newest first."""

    items = Key(many=True)
    next = CharField(allow_null=True, help_text="The `cursor` of the next page; null on the last one.")


class Calls(Serializer[Any]):
    """The calls of one hour or day."""

    at = DateTimeField(help_text="When the hour or day began, in UTC.")
    outcomes = DictField(child=IntegerField(), help_text="The calls by outcome: `accepted`, or the code of an error.")


class Usage(Serializer[Any]):
    """The calls of a key, by outcome. Intervals without calls are left out."""

    by = ChoiceField(choices=("hour", "day"))
    days = IntegerField()
    items = Calls(many=True)


@extend_schema_field({"type": "object", "additionalProperties": True})
class AnyObject(serializers.JSONField):
    """An object whose members depend on something else."""


class Event(Serializer[Any]):
    """Something that happened to a key."""

    id = IntegerField()
    at = DateTimeField()
    type = CharField(help_text="`key_created`, `key_rotated`, `key_paused` …")
    title = CharField()
    by = CharField(allow_blank=True, help_text="Who did it, in words.")
    address = CharField(allow_null=True)
    details = AnyObject()


class EventList(Serializer[Any]):
    """A page of events, newest first."""

    items = Event(many=True)
    next = CharField(allow_null=True)


class Scope(Serializer[Any]):
    """A scope of the catalogue."""

    name = CharField()
    description = CharField()


class ScopeList(Serializer[Any]):
    """The scopes that you can give to a key."""

    items = Scope(many=True)


class Credential(Serializer[Any]):
    """A key or an access token."""

    kind = ChoiceField(choices=("api_key", "access_token"))
    id = CharField()
    name = CharField(allow_blank=True)
    client_id = CharField(help_text="The key that it is or was issued for; `portal` for a log-in.")
    owner = CharField()
    environment = ChoiceField(choices=ENVIRONMENTS)
    scopes = ListField(child=CharField())
    expires_at = DateTimeField(allow_null=True)


class Tokens(Serializer[Any]):
    """An access token and a refresh token (RFC 6749 §5.1)."""

    access_token = CharField()
    token_type = CharField()
    expires_in = IntegerField(help_text="Seconds.")
    scope = CharField(allow_blank=True)
    refresh_token = CharField(required=False)


class Record(Serializer[Any]):
    """What a verdict about a credential depends on. Times are null if they do not apply."""

    format = IntegerField(help_text="1. Don't judge by a record with another.")
    id = CharField(help_text="`key_…`, or the `jti` of a token.")
    secret_id = CharField(allow_blank=True, help_text="The secret that was sent, or exchanged for the token.")
    kind = ChoiceField(choices=("api_key", "access_token"))
    key = CharField(allow_blank=True, help_text="The key that it is, or that the token was issued for.")
    name = CharField(allow_blank=True)
    client_id = CharField()
    owner = CharField()
    owner_state = ChoiceField(choices=("active", "inactive", "unconfirmed"))
    environment = ChoiceField(choices=ENVIRONMENTS)
    scopes = ListField(child=CharField())
    networks = ListField(child=CharField(), help_text="Where it may be used from; empty for anywhere.")
    audience = CharField(allow_null=True, help_text="The service that a token is for.")
    rate_limit = CharField(allow_null=True)
    asks_each_time = BooleanField(help_text="Whether only the portal may judge it, because it counts its calls.")
    not_before = DateTimeField(allow_null=True)
    expires_at = DateTimeField(allow_null=True)
    leeway = IntegerField(help_text="For how many seconds it is good after it expires.")
    replaced_at = DateTimeField(allow_null=True)
    retires_at = DateTimeField(allow_null=True)
    paused_at = DateTimeField(allow_null=True)
    paused_until = DateTimeField(allow_null=True)
    paused_reason = CharField(allow_blank=True)
    revoked_at = DateTimeField(allow_null=True)
    revoked_reason = CharField(allow_blank=True)
    tags = ListField(child=CharField(), help_text="The names under which a change of it is announced.")


class OneVerdict(Serializer[Any]):
    """Whether a credential is good now, for what was asked."""

    valid = BooleanField(required=False)
    code = CharField(required=False, help_text="`ok`, or the code of the error that its holder would get.")
    credential = Credential(required=False)
    owner = CharField(required=False)
    about = AnyObject(required=False, help_text="Why it was refused, as its holder would be told.")
    record = Record(required=False, allow_null=True, help_text="Null if there is nothing to keep.")
    assertion = CharField(required=False, allow_null=True, help_text="The signed identity; null if it was refused.")


class Verdict(OneVerdict):
    """Whether a credential is good now, or several of them."""

    results = OneVerdict(many=True, required=False, help_text="For several credentials, in their order.")
    cursor = CharField(required=False, allow_null=True, help_text="Up to which change the records are current.")
    now = DateTimeField(required=False, help_text="The portal's clock.")


class Changes(Serializer[Any]):
    """What to forget."""

    cursor = CharField(help_text="To ask with next time.")
    as_of_ms = IntegerField(help_text="For how many milliseconds it has not been certain that this is everything.")
    tags = ListField(child=CharField(), required=False, help_text="The tags of what has changed.")
    reset = BooleanField(required=False, help_text="Forget everything.")


class StoredBatch(Serializer[Any]):
    """A batch of counts that is stored."""

    is_new = BooleanField(help_text="False if it was stored before.")
    left_out = ListField(child=IntegerField(), help_text="The places of calls of unknown credentials.")


class Mistake(Serializer[Any]):
    """A mistake in one member."""

    pointer = CharField(allow_blank=True, help_text="A JSON Pointer (RFC 6901) into the body, or a query parameter.")
    detail = CharField()


class Problem(Serializer[Any]):
    """An error (RFC 9457). More members may say what it is about."""

    type = URLField(help_text="The page about this code.")
    title = CharField()
    status = IntegerField()
    detail = CharField(help_text="What to do.")
    code = CharField(help_text="Stable: decide by this.")
    errors = Mistake(many=True, required=False)  # type: ignore[assignment]  # a member of this name
