"""The portal's settings with the other libraries installed, so that all of them can guard the same view."""

import base64
import hashlib

from keyportal.settings import *  # noqa: F403
from keyportal.settings import INSTALLED_APPS, SECRET_KEY

PORTALS_ADMIN = "keyportal.apps.PortalAdminConfig"
INSTALLED_APPS = [
    *("benchmarks.peers_apps.PeersAdminConfig" if name == PORTALS_ADMIN else name for name in INSTALLED_APPS),
    "rest_framework.authtoken",
    "knox",
    "rest_framework_api_key",
    "drf_simple_apikey",
    "oauth2_provider",
]
ROOT_URLCONF = "benchmarks.peers_urls"
DRF_API_KEY = {
    "FERNET_SECRET": base64.urlsafe_b64encode(hashlib.sha256(SECRET_KEY.encode()).digest()).decode(),
}
SILENCED_SYSTEM_CHECKS = ["security.W021", "models.W042"]
