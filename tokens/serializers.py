"""Request bodies of the tokens' API. A serializer checks the structure; the verb decides."""

from typing import Any

from rest_framework import serializers
from typing_extensions import override

from credentials.json_body import StrictSerializer

MAX_SCOPES = 100


class ScopeField(serializers.CharField):
    """Names separated by spaces (RFC 6749 §3.3), as a list. An empty text counts as absent."""

    @override
    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data).split()

    @override
    def to_representation(self, value: Any) -> str:
        return " ".join(value)


class LogInSerializer(StrictSerializer):
    """`{"scope": …, "resource": …}`, or `{"scopes": […]}` instead of `scope`; every member is optional."""

    scope = ScopeField(
        required=False, allow_blank=True, max_length=2000, help_text="What the token can do: names with spaces between."
    )
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=200),
        required=False,
        max_length=MAX_SCOPES,
        help_text="The same as a list. Send either.",
    )
    resource = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False, help_text="The service that the token is for."
    )

    @override
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the values with the names under `scopes`. An empty list means no scopes; an empty text, absent."""
        if "scope" in attrs and "scopes" in attrs:
            raise serializers.ValidationError({"scope": ["Send either scope or scopes."]})
        if names := attrs.pop("scope", None):
            attrs["scopes"] = names
        return attrs

    @classmethod
    def validate_data(cls, data: Any) -> dict[str, Any]:
        """Return the validated values. Raises `rest_framework.exceptions.ValidationError`."""
        serializer = cls(data=data)
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = serializer.validated_data
        return values


class RefreshSerializer(LogInSerializer):
    """`{"refresh_token": …, "scope": …, "resource": …}`."""

    refresh_token = serializers.CharField(trim_whitespace=False, help_text="The newest one that you have.")
