"""Pages of the account that django-allauth does not have."""

from django.urls import path

from accounts import views

urlpatterns = [
    path("", views.overview, name="account_overview"),
    path("sessions/<int:session_id>/end/", views.end_session, name="end_session"),
    path("history/", views.history, name="account_history"),
]
