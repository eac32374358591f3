"""JSON representations in the keys' API."""

from credentials.credential import Credential


def credential_json(credential: Credential) -> dict[str, object]:
    """Return a credential as JSON data, without anything that authenticates. Times are RFC 3339 in UTC."""
    expires_at = credential.expires_at
    return {
        "kind": credential.kind,
        "id": credential.id,
        "name": credential.name,
        "client_id": credential.client_id,
        "owner": credential.owner_id,
        "environment": credential.environment,
        "scopes": sorted(credential.scopes),
        "expires_at": expires_at.isoformat().replace("+00:00", "Z") if expires_at else None,
    }
