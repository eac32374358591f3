"""URLs of the key pages."""

from django.urls import path

from apikeys import network_pages, views

app_name = "keys"
urlpatterns = [
    path("", views.list_keys, name="list"),
    path("new/", views.new_key, name="new"),
    path("<str:key_id>/", views.detail, name="detail"),
    path("<str:key_id>/first-call/", views.first_call, name="first_call"),
    path("<str:key_id>/edit/", views.edit, name="edit"),
    path("<str:key_id>/networks/", network_pages.edit_networks, name="networks"),
    path("<str:key_id>/networks/check/", network_pages.check_networks, name="check_networks"),
    path("<str:key_id>/networks/add/", network_pages.add_networks, name="add_networks"),
    path("<str:key_id>/secrets/<str:secret_id>/reveal/", views.reveal, name="reveal"),
    path("<str:key_id>/revoke/", views.revoke, name="revoke"),
]
