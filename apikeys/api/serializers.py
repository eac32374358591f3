"""JSON representations in the keys' API."""

from accounts.times import rfc3339
from credentials.credential import Credential


def credential_json(credential: Credential) -> dict[str, object]:
    """Return a credential as JSON data, without anything that authenticates. Times are RFC 3339 in UTC."""
    return {
        "kind": credential.kind,
        "id": credential.id,
        "name": credential.name,
        "client_id": credential.client_id,
        "owner": credential.owner_id,
        "environment": credential.environment,
        "scopes": sorted(credential.scopes),
        "expires_at": rfc3339(credential.expires_at) if credential.expires_at else None,
    }
