"""One view, without authentication and behind each kind of authentication."""

from django.urls import path
from drf_simple_apikey.backends import APIKeyAuthentication as SimpleAPIKeyAuthentication
from knox.auth import TokenAuthentication as KnoxAuthentication
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from rest_framework.authentication import TokenAuthentication
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_api_key.permissions import HasAPIKey
from rest_framework_simplejwt.authentication import JWTAuthentication

from apikeys.authentication import APIKeyAuthentication
from credentials.permissions import HasCredential
from keyportal.urls import urlpatterns as portal
from tokens.authentication import AccessTokenAuthentication


class Ping(APIView):
    """A view that does as little as possible."""

    def get(self, request: Request) -> Response:
        """Return 200 with a constant."""
        return Response({"pong": True})


def ping(name: str, authentication: list[type], permission: type) -> object:
    """Return the URL pattern of the view behind this authentication and permission."""
    view = Ping.as_view(authentication_classes=authentication, permission_classes=[permission])
    return path(f"api/bench/{name}", view)


urlpatterns = [
    ping("none", [], AllowAny),
    ping("keyportal-key", [APIKeyAuthentication], HasCredential),
    ping("keyportal-jwt", [AccessTokenAuthentication], HasCredential),
    ping("drf-token", [TokenAuthentication], IsAuthenticated),
    ping("knox", [KnoxAuthentication], IsAuthenticated),
    ping("drf-api-key", [], HasAPIKey),
    ping("simple-apikey", [SimpleAPIKeyAuthentication], IsAuthenticated),
    ping("simplejwt", [JWTAuthentication], IsAuthenticated),
    ping("oauth-toolkit", [OAuth2Authentication], IsAuthenticated),
    *portal,
]
