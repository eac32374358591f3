"""URLs of the OAuth endpoints for tokens; the gateway has the one for introspection."""

from django.urls import path

from tokens import oauth

urlpatterns = [
    path("token", oauth.token, name="oauth_token"),
    path("revoke", oauth.revoke, name="oauth_revoke"),
]
