"""URLs of the endpoints where other services check credentials."""

from django.urls import path

from gateway import introspection
from gateway.api import VerifyView

urlpatterns = [
    path("oauth/introspect", introspection.introspect, name="oauth_introspect"),
    path("api/v1/verify", VerifyView.as_view(), name="api_verify"),
]
