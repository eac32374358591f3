"""The OAuth endpoints of this room; introspection is the gateway's."""

from django.urls import path

from tokens import oauth

urlpatterns = [
    path("token", oauth.token, name="oauth_token"),
    path("revoke", oauth.revoke, name="oauth_revoke"),
]
