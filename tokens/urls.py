"""URLs of the pages of signed-in apps."""

from django.urls import path

from tokens import views

app_name = "apps"
urlpatterns = [
    path("", views.list_apps, name="list"),
    path("end/", views.end_apps, name="end_all"),
    path("<str:family_id>/end/", views.end_app, name="end"),
]
