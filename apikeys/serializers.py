"""What the API says of things."""

from rest_framework import serializers

from credentials.credential import Credential


class CredentialSerializer(serializers.Serializer[Credential]):
    """A credential, without anything that authenticates."""

    kind = serializers.CharField()
    id = serializers.CharField()
    name = serializers.CharField()
    client_id = serializers.CharField()
    owner = serializers.CharField(source="owner_id")
    environment = serializers.CharField()
    scopes = serializers.SerializerMethodField()
    expires_at = serializers.DateTimeField()

    def get_scopes(self, credential: Credential) -> list[str]:
        """Give the names in order."""
        return sorted(credential.scopes)
