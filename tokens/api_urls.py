"""URLs of API v1 of the tokens."""

from django.urls import path

from tokens.api import RefreshView, TokensView

urlpatterns = [
    path("tokens", TokensView.as_view(), name="api_tokens"),
    path("tokens/refresh", RefreshView.as_view(), name="api_refresh"),
]
