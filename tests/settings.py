"""Settings of tests that run inside pytest: the portal's own, with secrets of this run and a quick password hash."""

import json
import os
import secrets

from tests.folders import folder_of_this_process
from tests.portal_configuration import SETTINGS
from vault.rings import new_entry
from vault.signing_keys import new_signing_jwk

RUN_DIR = folder_of_this_process("keyportal-tests-")


for _name in SETTINGS - {"DATABASE_URL"}:
    os.environ.pop(_name, None)  # what the shell that started the tests has
(RUN_DIR / "no.env").touch()
os.environ["KEYPORTAL_ENV_FILE"] = str(RUN_DIR / "no.env")
os.environ["SECRET_KEY"] = secrets.token_urlsafe(50)
os.environ["KEYPORTAL_SEALING_KEYS"] = new_entry("s1")
os.environ["KEYPORTAL_INDEX_KEYS"] = new_entry("i1")
os.environ["KEYPORTAL_SIGNING_KEYS"] = json.dumps(new_signing_jwk("ES256"))
os.environ["KEYPORTAL_URL"] = "https://portal.test"
os.environ.setdefault("DATABASE_URL", f"sqlite:///{RUN_DIR / 'portal.sqlite3'}")

from keyportal.settings import *  # noqa: E402, F403  # after the environment it reads

INSTALLED_APPS = [*INSTALLED_APPS, "drf_spectacular"]  # noqa: F405  # describes the API: tests/api_description
REST_FRAMEWORK = {**REST_FRAMEWORK, "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}  # noqa: F405
SPECTACULAR_SETTINGS = {
    "TITLE": "keyportal",
    "DESCRIPTION": "Manage API keys, log in, and verify credentials.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVERS": [{"url": "{portal}"}],
    "PREPROCESSING_HOOKS": ["tests.api_description.hooks.only_v1"],
    "POSTPROCESSING_HOOKS": ["tests.api_description.hooks.finish"],
    "COMPONENT_SPLIT_REQUEST": False,
    "COMPONENT_SPLIT_PATCH": False,
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SORT_OPERATIONS": False,
    "SORT_OPERATION_PARAMETERS": False,
}
KEYPORTAL_USAGE_FLUSH = 0  # its thread would write into the database of a test that is over
SILENCED_SYSTEM_CHECKS = [*SILENCED_SYSTEM_CHECKS, "keyportal.E040"]  # noqa: F405  # which tells of the line above
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_USE_FINDERS = False  # every client of a test would look for all files
STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

STATIC_ROOT = RUN_DIR / "static"
STATIC_ROOT.mkdir()
