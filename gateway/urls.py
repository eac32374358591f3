"""URLs of the endpoints where other services check credentials."""

from django.urls import path

from gateway import introspection
from gateway.api import ChangesView, UsageView, VerifyView

urlpatterns = [
    path("oauth/introspect", introspection.introspect, name="oauth_introspect"),
    path("api/v1/verify", VerifyView.as_view(), name="api_verify"),
    path("api/v1/changes", ChangesView.as_view(), name="api_changes"),
    path("api/v1/usage", UsageView.as_view(), name="api_usage"),
]
