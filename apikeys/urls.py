"""URLs of the key pages."""

from django.urls import path

from apikeys.pages import network_views, secret_views, state_views, views

app_name = "keys"
urlpatterns = [
    path("", views.list_keys, name="list"),
    path("new/", views.new_key, name="new"),
    path("pause/", state_views.pause_many, name="pause_many"),
    path("revoke/", state_views.revoke_many, name="revoke_many"),
    path("<str:key_id>/", views.detail, name="detail"),
    path("<str:key_id>/first-call/", views.first_call, name="first_call"),
    path("<str:key_id>/edit/", views.edit, name="edit"),
    path("<str:key_id>/networks/", network_views.edit_networks, name="networks"),
    path("<str:key_id>/networks/check/", network_views.check_networks, name="check_networks"),
    path("<str:key_id>/networks/add/", network_views.add_networks, name="add_networks"),
    path("<str:key_id>/secrets/<str:secret_id>/reveal/", secret_views.reveal, name="reveal"),
    path("<str:key_id>/rotate/", secret_views.rotate, name="rotate"),
    path("<str:key_id>/end-overlap/", secret_views.end_overlap, name="end_overlap"),
    path("<str:key_id>/pause/", state_views.pause, name="pause"),
    path("<str:key_id>/resume/", state_views.resume, name="resume"),
    path("<str:key_id>/revoke/", state_views.revoke, name="revoke"),
]
