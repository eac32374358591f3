"""Every URL of the portal."""

from allauth.account.views import LogoutView, password_reset_from_key
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from accounts.urls import log_in_urlpatterns
from apikeys.pages.quickstart import quickstart
from keyportal import views
from keyportal.api_reference import views as reference
from keyportal.diagnose.views import diagnose
from keyportal.local import outbox
from keyportal.local.styleguide import styleguide
from keyportal.metrics.views import metrics
from tokens import discovery
from tokens.views import close

urlpatterns: list[URLPattern | URLResolver] = [
    # URLs for machines come first, because they get most requests.
    path("api/v1/", include("apikeys.api.urls")),
    path("api/v1/", include("tokens.api_urls")),
    path("oauth/", include("tokens.oauth_urls")),
    path("", include("gateway.urls")),
    path("", views.home, name="home"),
    path("keys/", include("apikeys.urls")),
    path("quickstart/", quickstart, name="quickstart"),
    path("account/apps/", include("tokens.urls")),
    path("account/close/", close, name="account_close"),
    path("account/", include("accounts.urls")),
    # django-allauth's pattern, but with the underscore of the portal's user ids.
    re_path(
        r"^accounts/password/reset/key/(?P<uidb36>[0-9A-Za-z_]+)-(?P<key>.+)/$",
        password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("accounts/logout/", views.clears_site_data(LogoutView.as_view()), name="account_logout"),
    path("accounts/", include(log_in_urlpatterns)),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/", include("allauth.account.urls")),
    path("theme/", views.set_theme, name="theme"),
    path("api/v1/openapi.json", reference.openapi, name="openapi"),
    path("docs/", reference.reference, name="reference"),
    path("docs/explorer/", reference.explorer, name="explorer"),
    path("docs/token/", reference.trial_token, name="trial_token"),
    path("diagnose/", diagnose, name="diagnose"),
    path("diagnose", diagnose),  # a client in trouble may not follow redirects
    path("docs/errors/<slug:code>/", views.error, name="error"),
    path(".well-known/oauth-authorization-server", discovery.metadata, name="metadata"),
    path(".well-known/jwks.json", discovery.jwks, name="jwks"),
    path("admin/", admin.site.urls),
    path("metrics", metrics, name="metrics"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
]
if settings.KEYPORTAL_LOCAL:
    urlpatterns += [
        path("outbox/", outbox.messages, name="outbox"),
        path("outbox/<str:name>/", outbox.message, name="outbox_message"),
        path("styleguide/", styleguide, name="styleguide"),
    ]

handler400 = "keyportal.errors.error_views.bad_request"
handler403 = "keyportal.errors.error_views.permission_denied"
handler404 = "keyportal.errors.error_views.page_not_found"
handler429 = "keyportal.errors.error_views.too_many_requests"
handler500 = "keyportal.errors.error_views.server_error"
