"""What the tokens' API takes. A serializer checks the shape; the verb decides."""

from typing import Any

from rest_framework import serializers

from credentials.json_body import StrictSerializer

MOST_SCOPES = 100


class ScopeField(serializers.CharField):
    """Names separated by spaces (RFC 6749 §3.3), as a list; an empty text is no wish, the same as absent."""

    def to_internal_value(self, data: Any) -> Any:
        """Give the names."""
        return super().to_internal_value(data).split()

    def to_representation(self, value: Any) -> str:
        """Give the names as they were."""
        return " ".join(value)


class LogInSerializer(StrictSerializer):
    """`{"scope": …, "resource": …}`, or `{"scopes": […]}` for the first, or nothing at all."""

    scope = ScopeField(required=False, allow_blank=True, max_length=2000)
    scopes = serializers.ListField(child=serializers.CharField(max_length=200), required=False, max_length=MOST_SCOPES)
    resource = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the values with every name under `scopes`; an empty list means none, and an empty text no wish."""
        if "scope" in attrs and "scopes" in attrs:
            raise serializers.ValidationError({"scope": ["Send either scope or scopes."]})
        if names := attrs.pop("scope", None):
            attrs["scopes"] = names
        return attrs

    @classmethod
    def checked(cls, data: Any) -> dict[str, Any]:
        """Give the values. Raises `rest_framework.exceptions.ValidationError`."""
        serializer = cls(data=data)
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = serializer.validated_data
        return values


class RefreshSerializer(LogInSerializer):
    """`{"refresh_token": …, "scope": …, "resource": …}`."""

    refresh_token = serializers.CharField(trim_whitespace=False)
