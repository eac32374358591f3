"""What drf-spectacular can't know: which addresses belong to API v1, its errors, headers and ways to authenticate."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension

from keyportal.errors.codes import CODES
from tests.api_description import keys, others, services

__all__ = ["keys", "others", "services"]

ALWAYS = (400, 401, 403, 405, 406, 429, 503)
ETAG = {"description": "The version of the key.", "schema": {"type": "string"}}
LOCATION = {"description": "The address of the new key.", "schema": {"type": "string"}}
REPLAYED = {"description": "`true`, if the answer is that of an earlier call.", "schema": {"type": "string"}}
REQUEST_ID = {"description": "The id of the request, as the portal's log has it.", "schema": {"type": "string"}}
DEPRECATED = {
    "Deprecation": {"description": "Since when your secret is replaced (RFC 9745).", "schema": {"type": "string"}},
    "Sunset": {"description": "When your secret stops working (RFC 8594).", "schema": {"type": "string"}},
    "X-Keyportal-Expires": {"description": "When your key expires, if within 30 days.", "schema": {"type": "string"}},
}
ELSEWHERE = {"misconfigured", "wrong_environment", "conflict"}
"""Codes that no operation of API v1 answers with, but for `verify`, which tells them in its verdict."""
OF_TOKENS = {"invalid_login", "mfa_required", "invalid_grant", "invalid_scope", "invalid_target"}
SECURITY: dict[str, list[Any]] = {"refresh": [], "log_in": [{"basic": []}]}


class ByKey(OpenApiAuthenticationExtension):
    """Authentication by API key."""

    target_class = "apikeys.authentication.APIKeyAuthentication"
    name = "api_key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "The secret of an API key."}


class ByToken(OpenApiAuthenticationExtension):
    """Authentication by access token."""

    target_class = "tokens.authentication.AccessTokenAuthentication"
    name = "access_token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token."}


class Basic(OpenApiAuthenticationExtension):
    """The log-in."""

    target_class = "tokens.authentication.PasswordAuthentication"
    name = "basic"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "basic", "description": "An account's e-mail address and password."}


class Strict(OpenApiSerializerExtension):
    """Bodies that refuse what they don't know."""

    target_class = "credentials.json_body.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> Any:
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {"properties": {}, **schema, "additionalProperties": False}


def only_v1(endpoints: list[Any], **options: Any) -> list[Any]:
    """Return the endpoints of API v1."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/v1/")]


def finish(result: dict[str, Any], generator: Any, **options: Any) -> dict[str, Any]:
    """Return the description with errors, headers and authentication."""
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            _finish(operation, path, method)
    for schema in result["components"]["schemas"].values():
        for member in schema.get("properties", {}).values():
            member.pop("x-spec-enum-id", None)
    return result


def _finish(operation: dict[str, Any], path: str, method: str) -> None:
    name = operation["operationId"]
    operation["security"] = SECURITY.get(name, [{"api_key": []}, {"access_token": []}])
    for status, response in operation["responses"].items():
        headers = {"X-Request-ID": REQUEST_ID, **DEPRECATED}
        if "/keys" in path and "Key" in str(response) and name != "list_keys":
            headers |= {"ETag": ETAG}
        if status == "201" and name == "create_key":
            headers |= {"Location": LOCATION}
        if method == "post" and "/keys" in path:
            headers |= {"Idempotency-Replayed": REPLAYED}
        response["headers"] = headers
    for status in _errors(operation, path, method):
        codes = ", ".join(f"`{code}`" for code in _codes(operation["tags"], status))
        content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        operation["responses"][str(status)] = {"description": codes, "content": content}


def _codes(tags: list[str], status: int) -> list[str]:
    left_out = ELSEWHERE if "Signed tokens" in tags else {*ELSEWHERE, *OF_TOKENS}
    return [code for code, reason in CODES.items() if reason.status == status and code not in left_out]


def _errors(operation: dict[str, Any], path: str, method: str) -> list[int]:
    body = (413, 415) if "requestBody" in operation else ()
    of_key = (404,) if "{key_id}" in path else ()
    names = {parameter["name"] for parameter in operation.get("parameters", ())}
    version = (412,) if "If-Match" in names else ()
    repeated = (409, 422) if "Idempotency-Key" in names else (409,) if method == "patch" else ()
    switched_off = (404,) if operation["operationId"] == "log_in" else ()
    return sorted({*ALWAYS, *body, *of_key, *version, *repeated, *switched_off})
