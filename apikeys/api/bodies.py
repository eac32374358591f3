"""Request bodies of the management API. They validate, and no message repeats a value."""

import re
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from django.core.exceptions import ValidationError as InvalidTextError
from rest_framework import serializers
from typing_extensions import override

from apikeys.models import NAME_LENGTH, REASON_LENGTH, Environment
from apikeys.names import clean_name, clean_reason
from apikeys.networks import MAX_NETWORKS, NetworksError, parse_list
from apikeys.overlap_text import EXPECTED, parse_overlap
from credentials.json_body import StrictSerializer

MAX_SCOPES: Final = 100
MAX_LENGTH: Final = 100
"""Characters of a scope or a network, before it is looked at."""
NEVER: Final = "never"
TIME_EXPECTED: Final = "Send a time with its zone (RFC 3339), such as 2027-01-31T12:00:00Z."
EXPIRY_EXPECTED: Final = "Send a time with its zone (RFC 3339), such as 2027-01-31T12:00:00Z, or “never”."
SCOPES_HELP: Final = "What the key can do. Without scopes it only identifies you."
NETWORKS_HELP: Final = "Addresses and networks that calls may come from. Any, if the list is empty."
NAME_HELP: Final = "Where you'll use it, such as “billing server” or “CI”."
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


class TextField(serializers.CharField):
    """A string. REST framework takes numbers for one too."""

    @override
    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Send a string.")
        return super().to_internal_value(data)


class NameField(TextField):
    """A key's name."""

    @override
    def to_internal_value(self, data: Any) -> str:
        try:
            return clean_name(super().to_internal_value(data))
        except InvalidTextError as error:
            raise serializers.ValidationError(error.messages) from error


class ReasonField(TextField):
    """A reason, which may be empty."""

    @override
    def to_internal_value(self, data: Any) -> str:
        try:
            return clean_reason(super().to_internal_value(data))
        except InvalidTextError as error:
            raise serializers.ValidationError(error.messages) from error


class TimeField(serializers.DateTimeField):
    """A time of RFC 3339, with its zone."""

    @override
    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
            raise serializers.ValidationError(TIME_EXPECTED)
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise serializers.ValidationError(TIME_EXPECTED) from error


class ExpiryField(TimeField):
    """When a key expires: a time, or `never`, which becomes None.

    JSON's null can't say it, since for every optional member of the portal null is the same as leaving it out.
    """

    @override
    def to_internal_value(self, value: Any) -> Any:
        if value == NEVER:
            return None
        try:
            return super().to_internal_value(value)
        except serializers.ValidationError as error:
            raise serializers.ValidationError(EXPIRY_EXPECTED) from error


class TextsField(serializers.ListField):
    """A list of strings."""

    default_error_messages: ClassVar = {"not_a_list": "Send a list."}
    child = TextField(max_length=MAX_LENGTH)


class NetworksField(TextsField):
    """A list of addresses and networks."""

    @override
    def to_internal_value(self, data: Any) -> list[str]:
        try:
            return [str(network) for network in parse_list(super().to_internal_value(data))]
        except NetworksError as error:
            faults = {str(fault.line): [fault.message] for fault in reversed(error.faults)}
            raise serializers.ValidationError(faults) from error


class OverlapField(serializers.Field):  # type: ignore[type-arg]  # not generic at run time
    """An overlap: 0, or a text such as `24h`."""

    @override
    def to_internal_value(self, data: Any) -> Any:
        try:
            return parse_overlap(data)
        except ValueError as error:
            raise serializers.ValidationError(EXPECTED) from error


class Body(StrictSerializer):
    """A JSON object, which may be missing altogether."""

    @classmethod
    def read(cls, data: Any) -> dict[str, Any]:
        """Return the validated members that were sent. Raises `rest_framework.exceptions.ValidationError`."""
        serializer = cls(data=data if data is not None else {})
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = serializer.validated_data
        return values


class NewKeyBody(Body):
    """A new key. Without `scopes` it only identifies its owner; without `expires_at` it has the portal's default."""

    name = NameField(max_length=NAME_LENGTH, help_text=NAME_HELP)
    environment = serializers.ChoiceField(
        choices=Environment.values,
        required=False,
        error_messages={"invalid_choice": "Send live or test."},
        help_text="If you leave it out: that of the key that calls, or `live`.",
    )
    scopes = TextsField(max_length=MAX_SCOPES, required=False, help_text=SCOPES_HELP)
    networks = NetworksField(max_length=MAX_NETWORKS, required=False, help_text=NETWORKS_HELP)
    expires_at = ExpiryField(required=False)
    show_once = serializers.BooleanField(
        required=False,
        error_messages={"invalid": "Send true or false."},
        help_text=(
            "If true, the secret isn't stored. For a day, and until its first use, a repeated `Idempotency-Key` still "
            "gets it."
        ),
    )


class KeyChangesBody(Body):
    """Changes to a key: what is named, and nothing else."""

    name = NameField(max_length=NAME_LENGTH, required=False, help_text=NAME_HELP)
    scopes = TextsField(max_length=MAX_SCOPES, required=False, help_text=SCOPES_HELP)
    networks = NetworksField(max_length=MAX_NETWORKS, required=False, help_text=NETWORKS_HELP)
    expires_at = ExpiryField(required=False)


class RotationBody(Body):
    """For how long the former secret goes on working: 24 hours unless `overlap` says otherwise."""

    overlap = OverlapField(required=False)
    reason = ReasonField(
        required=False,
        allow_blank=True,
        max_length=REASON_LENGTH,
        help_text="Such as where it leaked. It is kept in the key's history.",
    )


class PauseBody(Body):
    """Why a key is paused, and until when."""

    reason = ReasonField(
        required=False,
        allow_blank=True,
        max_length=REASON_LENGTH,
        help_text="Everyone who calls with the key can read it.",
    )
    until = TimeField(required=False, help_text="When the pause ends. If you leave it out, the pause has no end.")


class NoBody(Body):
    """A call that takes nothing."""
