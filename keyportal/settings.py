"""All settings of Django and the portal. They are safe for production, and no secret has a default.

The table in `keyportal/options/` reads what operators set: typed, trimmed, checked, never interpolated and never shown.
docs/configuration.md lists it. A mistake ends the process with a line that names the setting.
"""

import os
from urllib.parse import urlsplit

from keyportal.databases import listen_address, with_defaults
from keyportal.http.policies import PAGE_POLICY
from keyportal.local.private_files import OWN_FILE, OWN_FOLDER
from keyportal.logs import logging_config
from keyportal.options.kinds import BASE_DIR
from keyportal.options.reading import configure

VAR_DIR = BASE_DIR / "var"

_configuration = configure(os.environ)
_given = _configuration.values

# --- keyportal ---
vars().update({name: value for name, value in _given.items() if name.startswith(("KEYPORTAL_", "OTEL_"))})
KEYPORTAL_URL: str = _given["KEYPORTAL_URL"]
KEYPORTAL_LOCAL: bool = _given["KEYPORTAL_LOCAL"]
KEYPORTAL_AUDIENCE: str = _given["KEYPORTAL_AUDIENCE"] or KEYPORTAL_URL
KEYPORTAL_LISTEN_URL: str = listen_address(_given)
KEYPORTAL_BIND: tuple[str, ...] = _given["KEYPORTAL_BIND"]
KEYPORTAL_WORKERS: int = _given["KEYPORTAL_WORKERS"]
KEYPORTAL_TLS_CERTIFICATE: str = str(_given["KEYPORTAL_TLS_CERTIFICATE"] or "")
KEYPORTAL_TLS_KEY: str = str(_given["KEYPORTAL_TLS_KEY"] or "")
KEYPORTAL_ENDS_TLS = bool(KEYPORTAL_TLS_CERTIFICATE and KEYPORTAL_TLS_KEY)
KEYPORTAL_STRAY_NAMES = _configuration.stray
KEYPORTAL_SETTINGS_FILES = _configuration.files
CACHE_URL: str = _given["CACHE_URL"]
KEYPORTAL_MACHINE_PATHS = ("/api/", "/oauth/", "/.well-known/", "/gateway/", "/healthz", "/readyz", "/metrics")
KEYPORTAL_DIAGNOSE_PATHS = ("/diagnose/", "/diagnose")

HTTPS = (_url := urlsplit(KEYPORTAL_URL)).scheme == "https"
_host_name = _url.netloc.removesuffix(f":{_url.port}")  # with the brackets of an IPv6 address
KEYPORTAL_HOST = _url.netloc
LOOPBACK_HOSTS = ["127.0.0.1", "localhost"] if KEYPORTAL_LOCAL else []

# --- Django ---
SECRET_KEY: str = _given["SECRET_KEY"]
SECRET_KEY_FALLBACKS: list[str] = list(_given["SECRET_KEY_FALLBACKS"])
DEBUG = False
ALLOWED_HOSTS = list(dict.fromkeys([_host_name, *_given["KEYPORTAL_HOSTS"], *LOOPBACK_HOSTS]))
ROOT_URLCONF = "keyportal.urls"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
FORMAT_MODULE_PATH = "keyportal.formats"
APPEND_SLASH = True
SILENCED_SYSTEM_CHECKS = [
    # These two know Django's own middleware only by its name. Check E041 also accepts subclasses.
    "security.W002",
    "security.W003",
    "security.W021",  # the browsers' preload list is the domain owner's decision
]

INSTALLED_APPS = [
    "keyportal.apps.FrameConfig",
    "keyportal.first_secrets",
    "integrity.apps.IntegrityConfig",
    "audit.apps.AuditConfig",
    "accounts.apps.AccountsConfig",
    "credentials.apps.CredentialsConfig",
    "apikeys.apps.APIKeysConfig",
    "tokens.apps.TokensConfig",
    "gateway.apps.GatewayConfig",
    "keyportal.apps.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "rest_framework",
    "drf_spectacular_sidecar",  # its static files, for the API explorer
    "csp",
]

MIDDLEWARE = [
    "keyportal.http.middleware.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "keyportal.http.browser_only.CSPMiddleware",
    "keyportal.http.middleware.ResponseHeadersMiddleware",
    "keyportal.http.static_files.StaticFilesMiddleware",
    "keyportal.http.middleware.RingsMiddleware",
    "keyportal.http.middleware.ReadYourWritesMiddleware",
    "keyportal.http.browser_only.SessionMiddleware",
    "keyportal.http.browser_only.CommonMiddleware",
    "keyportal.http.browser_only.CsrfViewMiddleware",
    "keyportal.http.browser_only.AuthenticationMiddleware",
    "keyportal.http.browser_only.SessionLifetimeMiddleware",
    "keyportal.http.browser_only.MessageMiddleware",
    "keyportal.http.browser_only.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "keyportal.http.browser_only.WayBackMiddleware",
    "accounts.error_pages.AccountErrorsMiddleware",
    "keyportal.http.middleware.ErrorPagesMiddleware",
    "keyportal.http.browser_only.UserSessionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "keyportal.http.context.portal",
            ]
        },
    }
]

# --- data ---
DATABASES = {"default": with_defaults(_given)}

# Only libraries use it: the portal's own limits of log-ins are in accounts.attempts.
CACHES = {"default": {"BACKEND": "accounts.cache.JSONCache"}}

# --- accounts ---
AUTHENTICATION_BACKENDS = ["accounts.backends.SealedBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "accounts.passwords.LengthValidator"},
    {"NAME": "accounts.passwords.ContextValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["email"]},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "keys:list"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[keyportal] "
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _url.scheme
ACCOUNT_RATE_LIMITS = False  # the portal's own limits are in the database, say how long to wait, lock no owner out
ACCOUNT_FORMS = {
    "signup": "accounts.forms.SignUpForm",
    "change_password": "accounts.forms.ChangePasswordForm",
    "reset_password": "accounts.forms.ResetPasswordForm",
    "user_token": "accounts.forms.ResetTokenForm",
    "reset_password_from_key": "accounts.forms.ResetPasswordKeyForm",
}
MFA_FORMS = {
    "authenticate": "accounts.factor_forms.AuthenticateForm",
    "authenticate_webauthn": "accounts.factor_forms.AuthenticateWebAuthnForm",
    "reauthenticate": "accounts.factor_forms.ReauthenticateForm",
    "reauthenticate_webauthn": "accounts.factor_forms.ReauthenticateWebAuthnForm",
    "login_webauthn": "accounts.factor_forms.LoginWebAuthnForm",
    "activate_totp": "accounts.factor_forms.ActivateTOTPForm",
    "add_webauthn": "accounts.passkey_forms.AddPasskeyForm",
    "edit_webauthn": "accounts.passkey_forms.EditPasskeyForm",
}
MFA_RATE_LIMITS = False  # as ACCOUNT_RATE_LIMITS
MFA_ADAPTER = "accounts.adapter.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # allauth would ask its own table; accounts.factor_forms asks ours
MFA_TOTP_TOLERANCE = 1
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = KEYPORTAL_LOCAL
USERSESSIONS_ADAPTER = "accounts.adapter.SessionsAdapter"
USERSESSIONS_TRACK_ACTIVITY = True

# --- cookies and headers ---
_host = "__Host-" if HTTPS else ""
SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_NAME = f"{_host}sessionid"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = _given["KEYPORTAL_SESSION_IDLE"]
SESSION_SAVE_EVERY_REQUEST = True
CSRF_COOKIE_NAME = f"{_host}csrftoken"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "keyportal.http.csrf.csrf_failure"
CSRF_TRUSTED_ORIGINS = [KEYPORTAL_URL, *(f"{_url.scheme}://{host}" for host in _given["KEYPORTAL_HOSTS"])]
KEYPORTAL_DEVICE_COOKIE, KEYPORTAL_USERS_COOKIE = f"{_host}device", f"{_host}users"
KEYPORTAL_THEME_COOKIE = "theme"
SECURE_SSL_REDIRECT = HTTPS
SECURE_SSL_HOST = _url.netloc
# A redirect would come too late for a credential, and probes use plain http.
SECURE_REDIRECT_EXEMPT = [rf"^{path.lstrip('/')}" for path in KEYPORTAL_MACHINE_PATHS] + ["^diagnose/?$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = PAGE_POLICY

# --- files, messages, logs ---
STATIC_URL = "/static/"
STATIC_ROOT = _given["KEYPORTAL_STATIC_ROOT"]
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "keyportal.http.static_files.AppFinder",
]
STORAGES = {"staticfiles": {"BACKEND": "keyportal.http.static_files.StaticFilesStorage"}}
WHITENOISE_USE_FINDERS = True  # in case nothing can be collected
EMAIL_CONFIGURED = "EMAIL_URL" in _configuration.given
EMAIL_TIMEOUT = 5
vars().update(_given["EMAIL_URL"])
SERVER_EMAIL = DEFAULT_FROM_EMAIL = _given["KEYPORTAL_MAIL_FROM"] or f"keyportal@{_host_name}"
if KEYPORTAL_LOCAL:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH: str = _given["KEYPORTAL_OUTBOX"]
    # Local mode closes them to other users of the machine; in production a web server may have to read them.
    FILE_UPLOAD_PERMISSIONS, FILE_UPLOAD_DIRECTORY_PERMISSIONS = OWN_FILE, OWN_FOLDER
LOGGING = logging_config(_given["KEYPORTAL_LOG_FORMAT"] or ("text" if KEYPORTAL_LOCAL else "json"))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apikeys.authentication.APIKeyAuthentication",
        "tokens.authentication.AccessTokenAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["credentials.permissions.HasCredential"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "keyportal.http.negotiation.JSONNegotiation",
    "DEFAULT_PARSER_CLASSES": ["keyportal.http.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 25,
    "EXCEPTION_HANDLER": "keyportal.errors.problems.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
}
