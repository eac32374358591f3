"""All settings, read from the environment by django-environ. Safe for production; no secret has a default.

Every secret can also be given as a file: `SECRET_KEY_FILE=/run/secrets/secret_key`. docs/configuration.md lists them.
"""

from pathlib import Path
from urllib.parse import urlsplit

import environ

from keyportal.logs import logging_config
from keyportal.policies import PAGE_POLICY

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.FileAwareEnv()
environ.Env.read_env(env.str("KEYPORTAL_ENV_FILE", str(BASE_DIR / ".env")))

# --- keyportal ---
KEYPORTAL_URL = env.str("KEYPORTAL_URL").rstrip("/")
KEYPORTAL_LOCAL = env.bool("KEYPORTAL_LOCAL", False)
KEYPORTAL_SEALING_KEYS = env.str("KEYPORTAL_SEALING_KEYS", "")
KEYPORTAL_INDEX_KEYS = env.str("KEYPORTAL_INDEX_KEYS", "")
KEYPORTAL_SIGNING_KEYS = env.str("KEYPORTAL_SIGNING_KEYS", "")
KEYPORTAL_TRUSTED_PROXIES = tuple(env.list("KEYPORTAL_TRUSTED_PROXIES", default=[]))
KEYPORTAL_REVEAL = env.str("KEYPORTAL_REVEAL", "reauth")
KEYPORTAL_BRAND = env.str("KEYPORTAL_BRAND", "kp")
KEYPORTAL_MAX_KEYS = env.int("KEYPORTAL_MAX_KEYS", 200)
KEYPORTAL_PASSWORD_LENGTH = env.int("KEYPORTAL_PASSWORD_LENGTH", 15)
KEYPORTAL_SESSION_LIFETIME = env.int("KEYPORTAL_SESSION_LIFETIME", 12 * 3600)
KEYPORTAL_AUDIENCE = env.str("KEYPORTAL_AUDIENCE", KEYPORTAL_URL)
KEYPORTAL_PASSWORD_TOKENS = env.bool("KEYPORTAL_PASSWORD_TOKENS", True)
KEYPORTAL_ACCESS_LIFETIME = env.int("KEYPORTAL_ACCESS_LIFETIME", 600)
KEYPORTAL_REFRESH_IDLE = env.int("KEYPORTAL_REFRESH_IDLE", 7 * 24 * 3600)
KEYPORTAL_REFRESH_LIFETIME = env.int("KEYPORTAL_REFRESH_LIFETIME", 30 * 24 * 3600)
KEYPORTAL_REFRESH_GRACE = env.int("KEYPORTAL_REFRESH_GRACE", 0)
KEYPORTAL_LEEWAY = env.int("KEYPORTAL_LEEWAY", 30)
KEYPORTAL_LISTEN_URL = env.str("KEYPORTAL_LISTEN_URL", "")
KEYPORTAL_CACHE_ENTRIES = env.int("KEYPORTAL_CACHE_ENTRIES", 20_000)
KEYPORTAL_RATE_LIMIT = env.str("KEYPORTAL_RATE_LIMIT", "")
KEYPORTAL_USAGE_FLUSH = env.float("KEYPORTAL_USAGE_FLUSH", 5.0)
KEYPORTAL_USAGE_DAYS = env.int("KEYPORTAL_USAGE_DAYS", 400)
KEYPORTAL_TOMBSTONE_DAYS = env.int("KEYPORTAL_TOMBSTONE_DAYS", 400)
KEYPORTAL_METRICS_NETWORKS = tuple(env.list("KEYPORTAL_METRICS_NETWORKS", default=[]))
KEYPORTAL_METRICS_DIR = env.str("KEYPORTAL_METRICS_DIR", str(VAR_DIR / "metrics"))
KEYPORTAL_WORKERS = env.int("GRANIAN_WORKERS", 1)
CACHE_URL = env.str("CACHE_URL", "")
KEYPORTAL_LIMIT_LOGIN_ADDRESS = env.str("KEYPORTAL_LIMIT_LOGIN_ADDRESS", "30 per 5 minutes")
KEYPORTAL_LIMIT_LOGIN_PLACE = env.str("KEYPORTAL_LIMIT_LOGIN_PLACE", "10 per 5 minutes")
KEYPORTAL_LIMIT_LOGIN_ACCOUNT = env.str("KEYPORTAL_LIMIT_LOGIN_ACCOUNT", "20 per hour")
KEYPORTAL_LIMIT_CODE_PLACE = env.str("KEYPORTAL_LIMIT_CODE_PLACE", "10 per 5 minutes")
KEYPORTAL_LIMIT_CODE_ACCOUNT = env.str("KEYPORTAL_LIMIT_CODE_ACCOUNT", "20 per hour")
KEYPORTAL_LIMIT_SIGNUP = env.str("KEYPORTAL_LIMIT_SIGNUP", "20 per hour")
KEYPORTAL_LIMIT_MAIL_FROM = env.str("KEYPORTAL_LIMIT_MAIL_FROM", "30 per hour")
KEYPORTAL_LIMIT_MAIL_TO = env.str("KEYPORTAL_LIMIT_MAIL_TO", "5 per hour")
KEYPORTAL_LIMIT_TOKENS = env.str("KEYPORTAL_LIMIT_TOKENS", "120 per hour")
KEYPORTAL_LIMIT_CLIENT = env.str("KEYPORTAL_LIMIT_CLIENT", "20 per 5 minutes")
KEYPORTAL_LIMIT_CLIENT_ADDRESS = env.str("KEYPORTAL_LIMIT_CLIENT_ADDRESS", "300 per 5 minutes")
KEYPORTAL_LIMIT_REVOCATIONS = env.str("KEYPORTAL_LIMIT_REVOCATIONS", "300 per minute")
KEYPORTAL_LIMIT_MISSES = env.str("KEYPORTAL_LIMIT_MISSES", "100 per minute")
KEYPORTAL_MACHINE_PATHS = ("/api/", "/oauth/", "/.well-known/", "/gateway/", "/healthz", "/readyz", "/metrics")

HTTPS = (_url := urlsplit(KEYPORTAL_URL)).scheme == "https"
LOOPBACK_HOSTS = ["127.0.0.1", "localhost"] if KEYPORTAL_LOCAL else []

# --- Django ---
SECRET_KEY = env.str("SECRET_KEY").strip()
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
DEBUG = False
ALLOWED_HOSTS = list(dict.fromkeys([_url.hostname or "", *LOOPBACK_HOSTS]))
ROOT_URLCONF = "keyportal.urls"
WSGI_APPLICATION = "keyportal.wsgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
FORMAT_MODULE_PATH = "keyportal.formats"
APPEND_SLASH = False
SILENCED_SYSTEM_CHECKS = ["security.W021"]  # the browsers' preload list is the domain owner's decision

INSTALLED_APPS = [
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
    "csp",
]

MIDDLEWARE = [
    "keyportal.middleware.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "keyportal.pages.CSPMiddleware",
    "keyportal.middleware.ResponseHeadersMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "keyportal.middleware.RingsMiddleware",
    "keyportal.middleware.SettledMiddleware",
    "keyportal.pages.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "keyportal.pages.CsrfViewMiddleware",
    "keyportal.pages.AuthenticationMiddleware",
    "keyportal.pages.SessionLifetimeMiddleware",
    "keyportal.pages.MessageMiddleware",
    "keyportal.pages.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "keyportal.pages.WayBackMiddleware",
    "accounts.error_pages.AccountErrorsMiddleware",
    "keyportal.middleware.ErrorPagesMiddleware",
    "keyportal.pages.UserSessionsMiddleware",
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
                "keyportal.context.portal",
            ]
        },
    }
]

# --- data ---
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'keyportal.sqlite3'}")}
DATABASES["default"] |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
_options = DATABASES["default"].setdefault("OPTIONS", {})
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    _options |= {
        "transaction_mode": "IMMEDIATE",
        "timeout": 5,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
else:
    # Fail fast: a consumer waits for the verdict. The statement limit is for pages; the check takes a millisecond.
    _options |= {"connect_timeout": 2, "options": "-c statement_timeout=5000 -c lock_timeout=2000"}
    _options |= {"tcp_user_timeout": 2000, "keepalives_idle": 2, "keepalives_interval": 1, "keepalives_count": 2}

# For libraries: the limits of log-ins are the portal's own (accounts.attempts).
CACHES = {"default": {"BACKEND": "accounts.cache.JSONCache"}}

# --- who ---
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
ACCOUNT_RATE_LIMITS = False  # the portal's own count in the database, say how long to wait, and lock nobody out
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
MFA_ADAPTER = "accounts.adapter.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_TOLERANCE = 1
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = KEYPORTAL_LOCAL
USERSESSIONS_ADAPTER = "accounts.adapter.SessionsAdapter"
USERSESSIONS_TRACK_ACTIVITY = True

# --- cookies and headers ---
_host = "__Host-" if HTTPS else ""
SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_NAME = f"{_host}sessionid"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = env.int("KEYPORTAL_SESSION_IDLE", 30 * 60)
SESSION_SAVE_EVERY_REQUEST = True
CSRF_COOKIE_NAME = f"{_host}csrftoken"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "keyportal.csrf.failed"
CSRF_TRUSTED_ORIGINS = [KEYPORTAL_URL]
KEYPORTAL_DEVICE_COOKIE, KEYPORTAL_USERS_COOKIE = f"{_host}device", f"{_host}users"
KEYPORTAL_THEME_COOKIE = "theme"
SECURE_SSL_REDIRECT = HTTPS
SECURE_SSL_HOST = _url.netloc
# A redirect would come too late for a credential, and probes ask over plain http.
SECURE_REDIRECT_EXEMPT = [rf"^{path.lstrip('/')}" for path in KEYPORTAL_MACHINE_PATHS]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = PAGE_POLICY
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024

# --- files, messages, logs ---
STATIC_URL = "/static/"
STATIC_ROOT = env.str("KEYPORTAL_STATIC_ROOT", str(VAR_DIR / "static"))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}
EMAIL_CONFIGURED = "EMAIL_URL" in env
vars().update(env.email_url("EMAIL_URL", default="smtp://localhost:25"))
EMAIL_TIMEOUT = 5
SERVER_EMAIL = DEFAULT_FROM_EMAIL = env.str("KEYPORTAL_MAIL_FROM", f"keyportal@{_url.hostname}")
if KEYPORTAL_LOCAL:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = env.str("KEYPORTAL_OUTBOX", str(VAR_DIR / "outbox"))
LOGGING = logging_config(env.str("KEYPORTAL_LOG_FORMAT", "text" if KEYPORTAL_LOCAL else "json"))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apikeys.authentication.APIKeyAuthentication",
        "tokens.authentication.AccessTokenAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["credentials.permissions.HasCredential"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "keyportal.negotiation.JSONNegotiation",
    "DEFAULT_PARSER_CLASSES": ["keyportal.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 25,
    "EXCEPTION_HANDLER": "keyportal.problems.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
}
