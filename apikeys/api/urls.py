"""URLs of API v1: what a credential can ask about itself, and the management of keys."""

from django.urls import path

from apikeys.api import key_views, reading_views, verb_views
from apikeys.api.views import MeView

urlpatterns = [
    path("keys", key_views.KeysView.as_view(), name="api_keys"),
    path("keys/<str:key_id>", key_views.KeyView.as_view(), name="api_key"),
    path("keys/<str:key_id>/rotate", verb_views.RotateView.as_view(), name="api_key_rotate"),
    path("keys/<str:key_id>/end-overlap", verb_views.EndOverlapView.as_view(), name="api_key_end_overlap"),
    path("keys/<str:key_id>/pause", verb_views.PauseView.as_view(), name="api_key_pause"),
    path("keys/<str:key_id>/resume", verb_views.ResumeView.as_view(), name="api_key_resume"),
    path("keys/<str:key_id>/usage", reading_views.UsageView.as_view(), name="api_key_usage"),
    path("keys/<str:key_id>/events", reading_views.EventsView.as_view(), name="api_key_events"),
    path("scopes", reading_views.ScopesView.as_view(), name="api_scopes"),
    path("me", MeView.as_view(), name="api_me"),
]
