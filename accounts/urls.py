"""URLs of account pages that django-allauth lacks, or that replace its own."""

from django.urls import path

from accounts import link_views, views

urlpatterns = [
    path("", views.overview, name="account_overview"),
    path("emails/", views.emails, name="account_emails"),
    path("sessions/<int:session_id>/end/", views.end_session, name="end_session"),
    path("history/", views.history, name="account_history"),
]
log_in_urlpatterns = [
    path("sessions/", views.SessionsView.as_view(), name="usersessions_list"),
    path("2fa/webauthn/login/", views.PasskeyLogInView.as_view(), name="mfa_login_webauthn"),
    path("confirm-email/<str:key>/", link_views.confirm_email, name="account_confirm_email"),
    path("email/", link_views.address, name="account_email"),
    path("email/resend/", link_views.send_confirmation, name="account_send_confirmation"),
    path("email/cancel/", link_views.cancel_change, name="account_cancel_change"),
    path("email/confirm/<str:key>/", link_views.confirm_change, name="account_confirm_change"),
    path("email/undo/<str:key>/", link_views.undo_change, name="account_undo_change"),
    path("login/unlock/", link_views.ask_for_unlock, name="account_ask_for_unlock"),
    path("login/unlock/<str:key>/", link_views.unlock, name="account_unlock"),
]
"""Included before django-allauth's own, under the same path."""
