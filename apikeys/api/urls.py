"""URLs of API v1: what a credential can ask about itself."""

from django.urls import path

from apikeys.api.views import MeView

urlpatterns = [path("me", MeView.as_view(), name="api_me")]
