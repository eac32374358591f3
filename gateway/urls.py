"""Where other services ask."""

from django.urls import path

from gateway import introspection

urlpatterns = [path("oauth/introspect", introspection.introspect, name="oauth_introspect")]
