"""Documents for clients and verifiers of the portal's tokens: metadata (RFC 8414) and public keys (RFC 7517)."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import condition, require_safe

from integrity.rings import signing_ring
from tokens.oauth import GRANTS

MAX_AGE: Final = 60  # seconds; an offline verifier may use a key for this long after it leaves the ring
CLIENT_METHODS: Final = ("client_secret_basic", "client_secret_post")


def metadata_document() -> dict[str, Any]:
    """Return the metadata of RFC 8414 §2. Every URL begins with KEYPORTAL_URL, whatever host the request named."""
    base = settings.KEYPORTAL_URL
    return {
        "issuer": base,
        "token_endpoint": base + reverse("oauth_token"),
        "token_endpoint_auth_methods_supported": [*CLIENT_METHODS, "none"],
        "revocation_endpoint": base + reverse("oauth_revoke"),
        "revocation_endpoint_auth_methods_supported": [*CLIENT_METHODS, "none"],
        "introspection_endpoint": base + reverse("oauth_introspect"),
        "introspection_endpoint_auth_methods_supported": [*CLIENT_METHODS, "Bearer"],
        "jwks_uri": base + reverse("jwks"),
        "grant_types_supported": list(GRANTS),
        # Required by RFC 8414, and strict clients treat an empty list as missing. No endpoint here returns a code.
        "response_types_supported": ["none"],
        "service_documentation": base + reverse("home"),
    }


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _public(content: bytes) -> HttpResponse:
    headers = {"Cache-Control": f"public, max-age={MAX_AGE}", "Access-Control-Allow-Origin": "*"}
    return HttpResponse(content, content_type="application/json", headers=headers)


def _etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


@csrf_exempt
@require_safe
@condition(etag_func=lambda _: _etag(_json(metadata_document())))
def metadata(request: HttpRequest) -> HttpResponse:
    """Return `/.well-known/oauth-authorization-server`."""
    return _public(_json(metadata_document()))


@csrf_exempt
@require_safe
@condition(etag_func=lambda _: _etag(_json(signing_ring().public_set())))
def jwks(request: HttpRequest) -> HttpResponse:
    """Return `/.well-known/jwks.json`: the public keys of the signing ring, and nothing of a symmetric key."""
    return _public(_json(signing_ring().public_set()))
